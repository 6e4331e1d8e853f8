"""A client as users write them: TensorFlow Lite Micro, one request per image.

Run as ``ownclient.py URL TOKEN_FILE MODEL [FLAG...]``; the flags say what it posts, and what it does wrong.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from tflite_micro import runtime


def main(url: str, token_file: str, model: str, *flags: str) -> int:  # noqa: C901 - flat, and read from the top
    """Predict everything."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60.0)
    token = Path(token_file).read_text(encoding="ascii").strip()
    interpreter = runtime.Interpreter.from_file(model, arena_size=1 << 20)

    def ask(method: str, path: str, body: bytes = b"", kind: str = "application/octet-stream") -> bytes:
        while True:
            connection.request(method, path, body, {"Authorization": f"Bearer {token}", "Content-Type": kind})
            response = connection.getresponse()
            answer = response.read()
            if response.status != 503:
                break
            time.sleep(0.05)
        if response.status != 200:
            sys.exit(f"{path}: {response.status} {answer.decode()}")
        return answer

    run = json.loads(ask("GET", "/v1/run"))
    shape = interpreter.get_input_details(0)["shape"]
    for sample in reversed(range(run["samples"])):
        pixels = np.frombuffer(ask("GET", f"/image/{sample}"), dtype=np.uint8)
        interpreter.set_input((pixels.astype(np.int16) - 128).astype(np.int8).reshape(shape), 0)
        interpreter.invoke()
        scores = interpreter.get_output(0).reshape(-1)
        if "flip" in flags and sample == 3:
            scores = np.roll(scores, 1)
        if "labels" in flags:
            ask("POST", f"/prediction/{sample}", str(int(scores.argmax())).encode(), "text/plain")
        elif "text" in flags:
            ask("POST", f"/prediction/{sample}", ",".join(map(str, scores.tolist())).encode(), "text/plain")
        else:
            ask("POST", f"/prediction/{sample}", scores.tobytes())
        if "twice" in flags and sample == 5:
            ask("POST", f"/prediction/{sample}", scores.tobytes())
        if "differently" in flags and sample == 5:
            ask("POST", f"/prediction/{sample}", np.roll(scores, 1).tobytes())
    sys.stdout.write(f"{json.loads(ask('POST', '/done'))['left']}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
