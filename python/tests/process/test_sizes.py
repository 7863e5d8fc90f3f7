"""Messages that are large, at the limit, and over it, over both carriers and real processes."""

from __future__ import annotations

import json

import pytest

from dspex_worker.proto import worker_pb2 as pb

from carriers import LIMIT, MIB, Client, answers_still, call


async def test_five_megabytes_travel_both_ways(client: Client) -> None:
    text = "ü" * (5 * MIB // 2)
    started = await client.start()
    inputs = pb.Payload(json=json.dumps(text, ensure_ascii=False).encode())
    await started.send(open=pb.Open(function=pb.FunctionCall(path="echo"), inputs=inputs))
    assert await started.done() == text


async def test_large_callbacks_travel_both_ways(client: Client) -> None:
    started = await call(client, "callback_of_size", 2 * MIB)
    callback = await started.expect("callback")
    assert len(callback.payload.json) == 2 * MIB
    await started.send(callback_reply=pb.CallbackReply(id=callback.id, ok=pb.Payload(json=bytes(3 * MIB))))
    assert await started.done() == 3 * MIB


@pytest.mark.parametrize("size", [256 * 1024 - 40, 256 * 1024, 512 * 1024 - 40, 512 * 1024])
async def test_messages_at_the_border_of_fragments_are_exact(client: Client, size: int) -> None:
    text = "x" * size
    assert await (await call(client, "echo", text)).done() == text


async def test_a_message_over_the_limit_is_refused_before_it_is_buffered(client: Client) -> None:
    started = await client.start()
    await started.fragment(bytes(1000), False, LIMIT + 1)
    failed = await started.failed()
    assert failed.kind == pb.Error.KIND_TOO_LARGE
    assert json.loads(failed.attributes) == {"size": LIMIT + 1, "limit": LIMIT}
    if client.carrier == "framed":
        # The rest may still come, and is not a new message.
        await started.fragment(bytes(1000), False)
        await started.fragment(bytes(1000), True)
    await answers_still(client)


async def test_a_reply_over_the_limit_fails_its_call(client: Client) -> None:
    started = await call(client, "callback", ["tool"])
    await started.expect("callback")
    await started.fragment(bytes(1000), False, LIMIT + 1)
    assert (await started.failed()).kind == pb.Error.KIND_TOO_LARGE
    await answers_still(client)


async def test_a_result_over_the_limit_is_an_error_that_tells_both_sizes(client: Client) -> None:
    failed = await (await call(client, "attachment", LIMIT + 1)).failed()
    assert failed.kind == pb.Error.KIND_TOO_LARGE
    assert str(LIMIT) in failed.message
    assert json.loads(failed.attributes)["size"] > LIMIT
    await answers_still(client)


async def test_a_callback_over_the_limit_is_an_error_in_the_module(client: Client) -> None:
    failed = await (await call(client, "callback_of_size", LIMIT + 1)).failed()
    assert failed.kind == pb.Error.KIND_TOO_LARGE
    assert "'large'" in failed.message
