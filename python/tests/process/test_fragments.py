"""Splitting and joining large messages."""

from __future__ import annotations

import pytest

from dspex_worker.fragments import (
    FRAGMENT_BYTES,
    MAX_FRAME_BYTES,
    Outgoing,
    ProtocolViolation,
    Reassembly,
    TooLarge,
)
from dspex_worker.proto import worker_pb2 as pb

LIMIT = 4 * FRAGMENT_BYTES


def pieces(size: int) -> list[bytes]:
    outgoing = Outgoing(7, bytes(size))
    taken = []
    while outgoing.left:
        taken.append(outgoing.take())
    return taken


def fragment(data: bytes, last: bool = False, total: int = 0) -> pb.Fragment:
    return pb.Fragment(data=data, last=last, total=total)


@pytest.mark.parametrize("size", [1, FRAGMENT_BYTES])
def test_a_message_up_to_the_fragment_size_travels_whole(size: int) -> None:
    assert pieces(size) == [bytes(size)]


@pytest.mark.parametrize("size", [FRAGMENT_BYTES + 1, 2 * FRAGMENT_BYTES, 2 * FRAGMENT_BYTES + 1, LIMIT])
def test_what_is_split_is_joined_to_the_same(size: int) -> None:
    reassembly = Reassembly(LIMIT, LIMIT)
    joined = []
    for piece in pieces(size):
        assert len(piece) <= MAX_FRAME_BYTES
        down = pb.Down.FromString(piece)
        assert down.call == 7
        joined.append(reassembly.feed(7, down.fragment))
    assert joined[-1] == bytes(size)
    assert joined[:-1] == [None] * (len(joined) - 1)


def test_fragments_of_different_calls_may_alternate() -> None:
    reassembly = Reassembly(LIMIT, LIMIT)
    assert reassembly.feed(1, fragment(b"a", total=2)) is None
    assert reassembly.feed(2, fragment(b"x", total=2)) is None
    assert reassembly.feed(1, fragment(b"b", last=True)) == b"ab"
    assert reassembly.feed(2, fragment(b"y", last=True)) == b"xy"


def test_a_message_over_the_limit_is_refused_once_and_its_rest_ignored() -> None:
    reassembly = Reassembly(10, 100)
    with pytest.raises(TooLarge, match="11 bytes"):
        reassembly.feed(1, fragment(b"123", total=11))
    assert reassembly.feed(1, fragment(b"456")) is None
    assert reassembly.feed(1, fragment(b"78", last=True)) is None
    assert reassembly.feed(1, fragment(b"ok", last=True, total=2)) == b"ok"


def test_a_connection_holds_no_more_than_its_limit_in_all() -> None:
    reassembly = Reassembly(10, 15)
    reassembly.feed(1, fragment(b"1", total=10))
    with pytest.raises(TooLarge, match="what the connection has left"):
        reassembly.feed(2, fragment(b"1", total=6))
    assert reassembly.feed(1, fragment(b"234567890", last=True)) == b"1234567890"
    assert reassembly.feed(2, fragment(b"", last=True)) is None
    assert reassembly.feed(3, fragment(b"1" * 10, last=True, total=10)) == b"1" * 10


def test_refusing_a_message_in_transit_frees_its_place() -> None:
    reassembly = Reassembly(10, 10)
    reassembly.feed(1, fragment(b"1", total=10))
    assert reassembly.refuse(1)
    assert not reassembly.refuse(2)
    assert reassembly.feed(2, fragment(b"1" * 10, last=True, total=10)) == b"1" * 10
    assert reassembly.feed(1, fragment(b"1" * 9, last=True)) is None


def test_refusals_without_a_rest_take_bounded_memory_and_forget_none_whose_rest_comes() -> None:
    reassembly = Reassembly(10, 10)
    reassembly.feed(1, fragment(b"1", total=10))
    assert reassembly.refuse(1)
    assert not reassembly.refuse(1)
    for call in range(2, 10_000):
        if call % 2:
            reassembly.feed(call, fragment(b"1", total=10))
            reassembly.refuse(call)
        else:
            with pytest.raises(TooLarge):
                reassembly.feed(call, fragment(b"1", total=11))
        if call % 1000 == 0:
            assert reassembly.feed(1, fragment(b"1")) is None
    assert len(reassembly._refused) <= 1024
    assert not reassembly._partial
    assert reassembly.feed(1, fragment(b"1", last=True)) is None
    assert reassembly.feed(1, fragment(b"1" * 10, last=True, total=10)) == b"1" * 10


@pytest.mark.parametrize(
    ("sequence", "told"),
    [
        ([fragment(b"a")], "does not announce a total"),
        ([fragment(b"abc", total=2)], "more than the announced 2"),
        ([fragment(b"a", last=True, total=2)], "1 bytes instead of the announced 2"),
        ([fragment(b"a", total=2), fragment(b"")], "an empty fragment"),
    ],
)
def test_fragments_that_break_the_protocol_are_a_violation(sequence: list[pb.Fragment], told: str) -> None:
    reassembly = Reassembly(LIMIT, LIMIT)
    *before, breaking = sequence
    for one in before:
        reassembly.feed(1, one)
    with pytest.raises(ProtocolViolation, match=told):
        reassembly.feed(1, breaking)
