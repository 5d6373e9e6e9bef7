"""moto on port 5000 of every address, patched and gated as in the tests."""

import logging
import os
import signal
import socket

import moto_gate
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server


def main():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    moto_gate.patch()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = moto_gate.gate(DomainDispatcherApplication(create_backend_app))
    listener = socket.create_server(("0.0.0.0", 5000), backlog=256)
    server = make_server(
        "0.0.0.0",
        5000,
        app,
        threaded=True,
        request_handler=MotoRequestHandler,
        fd=listener.fileno(),
    )
    server.serve_forever()


if __name__ == "__main__":
    main()
