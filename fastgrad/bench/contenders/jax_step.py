"""The step in JAX: the whole of it under `jax.jit`, and many steps in one call of it."""

from functools import partial

import jax
import jax.numpy as jnp


def _loss(kind, params, x, target):
    z = x
    for w, b in zip(params[0:-2:2], params[1:-2:2], strict=True):
        z = jax.nn.relu(z @ w.T + b)
    z = z @ params[-2].T + params[-1]
    if kind == "mse":
        return jnp.mean((z - target) ** 2)
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), target[:, None], 1))


def _sgd(lr, decay, params, state, grads):
    return [p - lr * g for p, g in zip(params, grads, strict=True)], state


def _adamw(lr, decay, params, state, grads, beta1=0.9, beta2=0.999, eps=1e-8):
    step, first, second = state
    step = step + 1
    first = [m + (1 - beta1) * (g - m) for m, g in zip(first, grads, strict=True)]
    second = [v + (1 - beta2) * (g * g - v) for v, g in zip(second, grads, strict=True)]
    rate, root = lr / (1 - beta1**step), 1 / jnp.sqrt(1 - beta2**step)
    moved = [
        p * (1 - lr * decay) - rate * m / (jnp.sqrt(v) * root + eps)
        for p, m, v in zip(params, first, second, strict=True)
    ]
    return moved, (step, first, second)


class JaxStep:
    """One call of a jitted function for each step; parameters and state are donated."""

    def __init__(self, problem, lr):
        params = [jnp.array(p) for p in problem.params]
        zeros = [jnp.zeros_like(p) for p in params]
        adamw = problem.net.optimizer == "adamw"
        update = partial(_adamw if adamw else _sgd, lr, problem.decay)
        self.carry = params, (jnp.float32(0), zeros, [jnp.copy(z) for z in zeros]) if adamw else ()
        self.x, self.target = jnp.array(problem.x), jnp.array(problem.labels)
        loss_and_grad = jax.value_and_grad(partial(_loss, problem.net.loss))

        def step(carry, x, target):
            params, state = carry
            loss, grads = loss_and_grad(params, x, target)
            return update(params, state, grads), loss

        self.raw = step
        self.step = jax.jit(step, donate_argnums=0)

    def losses(self, n):
        found = []
        for _ in range(n):
            self.carry, loss = self.step(self.carry, self.x, self.target)
            found.append(float(loss))
        return found

    def run(self, n):
        carry, x, target, step = self.carry, self.x, self.target, self.step
        for _ in range(n):
            carry, _ = step(carry, x, target)
        self.carry = jax.block_until_ready(carry)


class JaxLoop(JaxStep):
    """All n steps in one call: no Python between them."""

    def __init__(self, problem, lr):
        super().__init__(problem, lr)

        def many(n, carry, x, target):
            return jax.lax.fori_loop(0, n, lambda _, carry: self.raw(carry, x, target)[0], carry)

        self.many = jax.jit(many, donate_argnums=1)

    def run(self, n):
        self.carry = jax.block_until_ready(self.many(n, self.carry, self.x, self.target))
