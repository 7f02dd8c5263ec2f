"""A layered drawing of an acyclic graph: layers, an order within each that avoids crossings, positions. Pure Python.

The steps are Sugiyama's (1981): longest paths give layers, edges over several layers get a bend in each, barycentres of the
neighbours give the order; positions are the least-squares ones that keep the order and the gaps.
"""

from collections import defaultdict
from itertools import pairwise


class Layout:
    """Where nodes are: `position[node]` = (along, across), and the bends of each edge.

    Args:
        sizes: {node: (along, across)}, the extent of each node in the direction of the layers and across it.
        edges: [(source, target)], from earlier to later nodes.
        gap: room between layers, (along), and between neighbours in a layer, (across).
        near: nodes without inputs that belong right before their first consumer.
    """

    def __init__(self, sizes, edges, gap=(60, 30), near=()):
        self.sizes, self.gap = dict(sizes), gap
        self.after, self.before = defaultdict(list), defaultdict(list)
        for source, target in edges:
            self.after[source].append(target)
            self.before[target].append(source)
        self.near = set(near)
        self.assign_layers(self.near)
        self.add_bends(edges)
        self.order_layers()
        self.place_across()
        self.place_along()

    def assign_layers(self, near):
        degree = {node: len(self.before[node]) for node in self.sizes}
        ready = [node for node, n in degree.items() if n == 0]
        self.layer = dict.fromkeys(ready, 0)
        order = []
        while ready:
            node = ready.pop()
            order.append(node)
            for target in self.after[node]:
                self.layer[target] = max(self.layer.get(target, 0), self.layer[node] + 1)
                degree[target] -= 1
                if not degree[target]:
                    ready.append(target)
        for node in order:
            if node in near and self.after[node]:
                self.layer[node] = min(self.layer[target] for target in self.after[node]) - 1

    def add_bends(self, edges):
        self.bends = []
        self.links = defaultdict(list)  # node or bend -> its neighbours in the next layer
        self.back = defaultdict(list)
        for k, (source, target) in enumerate(edges):
            path = [source]
            for layer in range(self.layer[source] + 1, self.layer[target]):
                bend = ("bend", k, layer)
                self.layer[bend] = layer
                self.sizes[bend] = (0, 0)
                path.append(bend)
            path.append(target)
            self.bends.append(path)
            for a, b in pairwise(path):
                self.links[a].append(b)
                self.back[b].append(a)

    def order_layers(self):
        layers = defaultdict(list)
        for node in self.sizes:
            layers[self.layer[node]].append(node)
        self.layers = [layers[k] for k in range(max(layers) + 1)] if layers else []
        best, fewest = [list(layer) for layer in self.layers], None
        for sweep in range(12):
            downward = sweep % 2 == 0
            for k in range(len(self.layers))[:: 1 if downward else -1]:
                other = self.back if downward else self.links
                at = {node: i for layer in self.layers for i, node in enumerate(layer)}
                centre = {
                    node: sum(at[n] for n in other[node]) / len(other[node]) if other[node] else at[node]
                    for node in self.layers[k]
                }
                self.layers[k].sort(key=centre.__getitem__)
            crossings = self.crossings()
            if fewest is None or crossings < fewest:
                best, fewest = [list(layer) for layer in self.layers], crossings
        self.layers = best

    def crossings(self):
        total = 0
        for layer, following in zip(self.layers, self.layers[1:], strict=False):
            at = {node: i for i, node in enumerate(following)}
            ends = [at[n] for node in layer for n in sorted(self.links[node], key=at.__getitem__)]
            if len(ends) < 400:
                total += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
        return total

    def place_across(self):
        self.across = {}
        for layer in self.layers:
            at = 0.0
            for node in layer:
                self.across[node] = at + self.sizes[node][1] / 2
                at += self.sizes[node][1] + self.gap[1]
        for sweep in range(24):
            downward = sweep % 2 == 1
            both = sweep >= 20  # first straight down and straight up, then in the middle of both
            for k in range(len(self.layers))[:: 1 if downward else -1]:
                self.relax(self.layers[k], both or downward, both or not downward)
        low = min((self.across[n] - self.sizes[n][1] / 2 for n in self.across), default=0)
        for node in self.across:
            self.across[node] -= low

    def relax(self, layer, from_back, from_links):
        """Moves a layer as near as it can be to its neighbours' centres: isotonic regression on positions less the gaps."""
        offset, offsets = 0.0, []
        for i, node in enumerate(layer):
            if i:
                previous = layer[i - 1]
                offset += (self.sizes[previous][1] + self.sizes[node][1]) / 2 + self.gap[1]
            offsets.append(offset)
        blocks = []  # [sum of wishes, weight]
        counts = []
        for node, off in zip(layer, offsets, strict=True):
            near = (self.back[node] if from_back else []) + (self.links[node] if from_links else [])
            spine = [n for n in near if n not in self.near]
            near = spine or near
            bend = isinstance(node, tuple) and node and node[0] == "bend"
            weight = 0.05 if node in self.near else 2.0 if bend else 1.0  # inputs make room; long edges are straight
            wish = sum(self.across[n] for n in near) / len(near) if near else self.across[node]
            blocks.append([(wish - off) * weight, weight])
            counts.append(1)
            while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
                last = blocks.pop()
                blocks[-1][0] += last[0]
                blocks[-1][1] += last[1]
                counts[-2:] = [counts[-2] + counts[-1]]
        i = 0
        for (total, weight), count in zip(blocks, counts, strict=True):
            for _ in range(count):
                self.across[layer[i]] = total / weight + offsets[i]
                i += 1

    def place_along(self):
        self.position = {}
        at = 0.0
        for layer in self.layers:
            width = max(self.sizes[node][0] for node in layer)
            for node in layer:
                self.position[node] = (at + width / 2, self.across[node])
            at += width + self.gap[0]
        self.length = max(at - self.gap[0], 0)
        self.breadth = max((self.across[n] + self.sizes[n][1] / 2 for n in self.across), default=0)

    def path(self, k):
        """The points of edge k: its source, its bends, its target."""
        return [self.position[node] for node in self.bends[k]]
