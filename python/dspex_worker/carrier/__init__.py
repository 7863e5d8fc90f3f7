"""How messages travel: `framed` over an inherited unix socket, `grpc_carrier` over gRPC.

Both hand encoded messages to a `dspex_worker.servicer.Connection` and take encoded messages from it, so
the life of calls is written once.
"""
