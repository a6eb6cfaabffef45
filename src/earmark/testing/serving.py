"""A fake over real connections, for a demo or a test by hand."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from earmark.providers.transport import Answer, Request
from earmark.testing.http_fake import HttpFake


def serve(fake: HttpFake, port: int = 0) -> ThreadingHTTPServer:
    """Answer for an `HttpFake` on 127.0.0.1, in a thread; port 0 is any that is free.

    `POST /fake/faults` with `{"fault": …, "method": …, "path": …}` asks for a fault.
    Raises `OSError` when the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/fake/faults":
                fake.fault(**json.loads(content))
                self._say(Answer(204, {}, b""))
                return
            url = f"http://{self.headers['Host']}{self.path}"
            headers = dict(self.headers.items())
            answer = fake.answer(Request(self.command, url, headers, content))
            if answer is None:
                self.close_connection = True
                return
            self._say(answer)

        def _say(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        # The names are the library's.
        do_GET = do_HEAD = do_POST = _any  # noqa: N815
        do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
