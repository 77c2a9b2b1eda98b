"""Which tensors share bytes, how long each is needed, and where it lies: the graph's side of the arena."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from edgekit_converters.c.arena import Buffer, Plan, bound, plan_arena
from edgekit_converters.c.graph import Graph, Tensor
from edgekit_converters.c.layer import Layer


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Each computed tensor's offset in the arena by its index, and the arena's size, bytes."""

    offsets: Mapping[int, int]
    bytes: int


def plan_memory(graph: Graph, layers: Sequence[Layer]) -> Memory:
    """Let outputs take their inputs' bytes where that makes the arena smaller, then place everything."""
    sharing = _Sharing(graph, layers)
    chosen = {place for place, layer in enumerate(layers) if layer.in_place}
    best = bound(sharing.buffers(chosen))
    for place in sorted(chosen):
        without = bound(sharing.buffers(chosen - {place}))
        if without < best:
            chosen, best = chosen - {place}, without
    plan: Plan = plan_arena(sharing.buffers(chosen))
    owner = sharing.owners(chosen)
    return Memory(offsets={index: plan.offsets[owner[index]] for index in owner}, bytes=plan.bytes)


class _Sharing:
    """Tensors and the spans of time in which they are needed: layer numbers, -1 for before the first."""

    def __init__(self, graph: Graph, layers: Sequence[Layer]) -> None:
        self._graph, self._layers = graph, layers
        self._tensors = {tensor.index: tensor for tensor in _computed(graph)}
        self._first = {tensor.index: -1 for tensor in graph.inputs}
        self._last = dict.fromkeys(self._first, -1)
        for place, node in enumerate(graph.nodes):
            for tensor in node.outputs:
                self._first[tensor.index] = self._last[tensor.index] = place
            for item in node.inputs:
                if item is not None and item.value is None:
                    self._last[item.index] = place
        for tensor in graph.outputs:
            self._last[tensor.index] = len(layers)

    def owners(self, in_place: Iterable[int]) -> dict[int, int]:
        """For each tensor the one whose bytes it takes, itself where it has its own."""
        wanted, owner = set(in_place), {index: index for index in self._tensors}
        for place, layer in enumerate(self._layers):
            output = layer.node.outputs[0]
            source = layer.same
            if source is None and place in wanted:
                source = next((item for item in layer.in_place if self._may_take(owner, place, layer, item)), None)
            if source is not None:
                owner[output.index] = owner[source.index]
        return owner

    def _may_take(self, owner: Mapping[int, int], place: int, layer: Layer, source: Tensor) -> bool:
        """Whether nothing else needs the bytes any more, and they are enough."""
        if source.value is not None or layer.node.outputs[0].bytes > self._tensors[owner[source.index]].bytes:
            return False
        sharing = [index for index, other in owner.items() if other == owner[source.index]]
        others = [item for item in layer.node.inputs if item is not None and item.index != source.index]
        return all(self._last[index] <= place or self._first[index] > place for index in sharing) and not any(
            owner.get(item.index) == owner[source.index] for item in others
        )

    def buffers(self, in_place: Iterable[int]) -> list[Buffer]:
        """What has to be placed."""
        owner = self.owners(in_place)
        members: dict[int, list[int]] = {}
        for index, other in owner.items():
            members.setdefault(other, []).append(index)
        return [
            Buffer(
                key=other,
                bytes=max(self._tensors[index].bytes for index in indices),
                first=min(self._first[index] for index in indices),
                last=max(self._last[index] for index in indices),
            )
            for other, indices in members.items()
        ]


def _computed(graph: Graph) -> Iterable[Tensor]:
    yield from graph.inputs
    for node in graph.nodes:
        yield from node.outputs
