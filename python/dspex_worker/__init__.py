"""The Python side of dspex: a zygote and asyncio workers that run the real DSPy for a Rust host.

* `zygote`, `cli`, `lifeline`: how the processes start, and how they never outlive their host.
* `carrier`: the two ways that messages travel, framed unix sockets and gRPC.
* `servicer`: the life of calls, the same for both carriers.
* `engine`: DSPy itself.
"""

__version__ = "0.1.0"

# The version of the messages in proto/dspex/v1/worker.proto. The host refuses another one.
PROTOCOL = 1
