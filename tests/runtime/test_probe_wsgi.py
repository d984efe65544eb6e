"""What only the WSGI probe can do: wait in a thread, and be forked meanwhile. The rest is in `test_probe.py`."""

import os
import threading
import time

import pytest

from backplane_runtime import probe
from backplane_runtime.contract.limits import exit_code, forked
from backplane_runtime.probe import WsgiApplication, wsgi_health
from tests.runtime.asking import asked_plane, request, wait_until
from tests.runtime.probe_servers import serving_wsgi

pytestmark = pytest.mark.runtime_only


def test_a_backplane_that_hangs_is_named_in_time() -> None:
    """Without waiting for it."""
    plane, backplane = asked_plane("wsgi hangs")
    backplane.gate.clear()
    try:
        with plane, serving_wsgi(wsgi_health(plane, timeout=0.2)) as port:
            answer = request(port)
            assert answer.status == 503
            assert answer.json["backplanes"]["probed"]["message"] == "no answer within 0.2 s"
    finally:
        backplane.gate.set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_child_forked_while_somebody_asked_is_asked_too() -> None:
    """The lock of the one who asked is not let go in the child; it is waited for once, not at each request."""
    plane, backplane = asked_plane("wsgi fork")
    application = wsgi_health(plane, timeout=0.5)
    backplane.gate.clear()
    asker = threading.Thread(target=ask, args=(application,))
    asker.start()
    wait_until(lambda: backplane.asked)

    def ask_twice() -> None:
        answers, begin = [ask(application)], time.monotonic()
        answers.append(ask(application))
        assert time.monotonic() - begin < probe.KEPT_SECONDS
        assert {*answers} <= {"200 OK", "503 Service Unavailable"}

    child = forked(ask_twice)
    backplane.gate.set()
    asker.join()
    assert exit_code(child) == 0
    plane.close()


def ask(application: WsgiApplication) -> str:
    statuses: list[str] = []
    application({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda status, _: statuses.append(status))
    return statuses[0]
