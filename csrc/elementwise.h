/* The elementwise kernels of float32 and float64, one line each:
 *     name, how many parameters it reads (p, q, r = f[0], f[1], f[2] of the attributes), value from the inputs a, b, c.
 * ARITHMETIC lines (name, value) have two inputs and loops of their own where one is a single number. TEST lines (name,
 * inputs, value) write bools; SELECT reads a bool first. POWER lines have faster values for the single exponents 1, 2,
 * 3 and 1/2. WITHIN lines (name, measure, limit, value, value) take the first value where the measure, an unsigned integer, of all
 * elements of a block is below the limit.
 * `t` is the dtype: constants are cast to it.
 * A NaN must reach the result, so comparisons are written for the branch that a NaN takes. */

/* arithmetic */
ARITHMETIC(add, a + b)
ARITHMETIC(sub, a - b)
ARITHMETIC(mul, a * b)
ARITHMETIC(div, a / b)
UNARY(neg, 0, -a)
UNARY(abs, 0, fg_fabs(a))
UNARY(square, 0, a * a)
UNARY(reciprocal, 0, 1 / a)
UNARY(sqrt, 0, fg_sqrt(a))
UNARY(rsqrt, 0, 1 / fg_sqrt(a))
UNARY(sign, 0, (t)(a > 0) - (t)(a < 0))
BINARY(maximum, 0, (a > b) | (a != a) ? a : b)
BINARY(minimum, 0, (a < b) | (a != a) ? a : b)
UNARY(clamp, 2, (a < p ? p : a) > q ? q : (a < p ? p : a))
UNARY(clamp_min, 1, a < p ? p : a)
UNARY(clamp_max, 1, a > p ? p : a)
TERNARY(lerp, 0, c < (t)0.5 ? a + c * (b - a) : b - (b - a) * (1 - c))
TERNARY(addcmul, 1, a + p * b * c)
TERNARY(addcdiv, 1, a + p * (b / c))
BINARY(hypot, 0, fg_hypot(a, b))
BINARY(fmod, 0, fg_fmod(a, b))
BINARY(remainder, 0, fg_remainder(a, b))
BINARY(floor_divide, 0, fg_floor_divide(a, b))

/* rounding; to even at a half */
UNARY(floor, 0, fg_floor(a))
UNARY(ceil, 0, fg_ceil(a))
UNARY(round, 0, fg_rint(a))
UNARY(trunc, 0, fg_trunc(a))
UNARY(frac, 0, a - fg_trunc(a))

/* exponentials and logarithms */
WITHIN(exp, fg_magnitude(a), fg_exp_limit((t)0), fg_exp_normal(a), fg_exp(a))
UNARY(exp2, 0, fg_exp2(a))
UNARY(expm1, 0, fg_expm1(a))
WITHIN(log, fg_above_normal(a), fg_log_limit((t)0), fg_log_normal(a), fg_log(a))
UNARY(log2, 0, fg_log2(a))
UNARY(log10, 0, fg_log10(a))
UNARY(log1p, 0, fg_log1p(a))
POWER(pow, 2, fg_pow(a, b), a, a * a, a * a * a, fg_sqrt(a))
BINARY(logaddexp, 0, a == b ? a + (t)0.6931471805599453 : (a > b ? a : b) + fg_log1p_exp_below(a - b))
BINARY(xlogy, 0, (a == 0) & (b == b) ? 0 : a * fg_log(b))

/* trigonometric, hyperbolic, error functions */
WITHIN(sin, fg_magnitude(a), fg_quadrants_limit((t)0), fg_sin(a), fg_any_sin(a))
WITHIN(cos, fg_magnitude(a), fg_quadrants_limit((t)0), fg_cos(a), fg_any_cos(a))
UNARY(tan, 0, fg_tan(a))
UNARY(asin, 0, fg_asin(a))
UNARY(acos, 0, fg_acos(a))
UNARY(atan, 0, fg_atan(a))
BINARY(atan2, 0, fg_atan2(a, b))
UNARY(sinh, 0, fg_sinh(a))
UNARY(cosh, 0, fg_cosh(a))
UNARY(tanh, 0, fg_tanh(a))
UNARY(erf, 0, fg_erf(a))
UNARY(erfc, 0, fg_erfc(a))

/* activations */
UNARY(sigmoid, 0, fg_sigmoid(a))
UNARY(logsigmoid, 0, fg_logsigmoid(a))
UNARY(relu, 0, 0 > a ? 0 : a)
UNARY(leaky_relu, 1, a > 0 ? a : a * p)
UNARY(threshold, 2, a <= p ? q : a)
UNARY(softplus, 2, fg_softplus(a, p, q))
UNARY(gelu, 0, fg_gelu(a))
UNARY(gelu_tanh, 0, a * fg_gelu_gate(a))
UNARY(silu, 0, a * fg_sigmoid(a))
UNARY(mish, 0, a * fg_tanh_softplus(a))
UNARY(elu, 3, a > 0 ? a * q : fg_expm1(a * r) * p * q)
UNARY(hardswish, 0, a * (a < -3 ? 0 : a > 3 ? 6 : a + 3) / 6)
UNARY(hardsigmoid, 0, (a < -3 ? 0 : a > 3 ? 6 : a + 3) / 6)
UNARY(softsign, 0, a / (1 + fg_fabs(a)))
UNARY(tanhshrink, 0, a - fg_tanh(a))
UNARY(softshrink, 1, a > p ? a - p : a < -p ? a + p : a * 0)
UNARY(hardshrink, 1, (a >= -p) & (a <= p) ? 0 : a)

/* fused derivatives: a is the gradient that arrived, b (c) the input or the output. A gradient of 0 stays 0 where the
 * derivative is infinite or NaN, so that nothing comes back through the branch that a `where` did not take. */
ARITHMETIC(mul_vjp, a == 0 ? 0 : a * b)
ARITHMETIC(mul_vjp_vjp, (a == 0) | (b == 0) ? 0 : a * b)
ARITHMETIC(div_vjp, a == 0 ? 0 : a / b)
POWER(pow_vjp, 3, (a == 0) | (c == 0) ? 0 : a * c * fg_pow(b, c - 1), a, a == 0 ? 0 : a * (b + b),
      a == 0 ? 0 : a * (3 * b * b), a == 0 ? 0 : a / (2 * fg_sqrt(b)))
TERNARY(maximum_vjp, 0, b < c ? 0 : b == c ? a / 2 : a)
BINARY(clamp_vjp, 2, (b >= p) & (b <= q) ? a : 0)
BINARY(hardtanh_vjp, 2, (b > p) & (b < q) ? a : 0)
BINARY(tanh_vjp, 0, a == 0 ? 0 : a * (1 - b * b))
BINARY(sigmoid_vjp, 0, a == 0 ? 0 : a * (b * (1 - b)))
BINARY(relu_vjp, 0, b <= 0 ? 0 : a)
BINARY(leaky_relu_vjp, 1, b > 0 ? a : a * p)
BINARY(threshold_vjp, 1, b <= p ? 0 : a)
BINARY(shrink_vjp, 1, (b > p) | (b < -p) ? a : 0)
BINARY(softplus_vjp, 2, (a == 0) | (b * p > q) ? a : a * fg_sigmoid(b * p))
BINARY(gelu_vjp, 0, a == 0 ? 0 : a * fg_gelu_slope(b))
BINARY(gelu_tanh_vjp, 0, a == 0 ? 0 : a * fg_gelu_tanh_slope(b))
BINARY(silu_vjp, 0, a == 0 ? 0 : a * fg_silu_slope(b))
BINARY(elu_vjp, 3, a == 0 ? 0 : b > 0 ? a * q : a * (p * q * r) * fg_exp(b * r))

/* tests and choices */
TEST(eq, 2, a == b)
TEST(ne, 2, a != b)
TEST(lt, 2, a < b)
TEST(le, 2, a <= b)
TEST(gt, 2, a > b)
TEST(ge, 2, a >= b)
TEST(isnan, 1, a != a)
TEST(isinf, 1, fg_fabs(a) == (t)INFINITY)
TEST(isfinite, 1, fg_fabs(a) < (t)INFINITY)
TEST(logical_not, 1, a == 0)
TEST(logical_and, 2, (a != 0) & (b != 0))
TEST(logical_or, 2, (a != 0) | (b != 0))
TEST(logical_xor, 2, (a != 0) ^ (b != 0))
SELECT(where, a ? b : c)
UNARY(nan_to_num, 3, a != a ? p : a == (t)INFINITY ? q : a == -(t)INFINITY ? r : a)
