"""Waiting for events with a deadline. Tests never sleep for a guessed time: they wait until something has happened."""

import os
import threading
import time

SANITIZER = os.environ.get("LARDER_SANITIZE", "")

# Seconds that anything may take before a test fails. Only a failing test ever waits as long.
DEADLINE = 60.0 if SANITIZER else 20.0


def eventually(condition, what, deadline=DEADLINE, pause=0.01):
    """Calls `condition` until it returns something true, and returns that. Fails the test after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline:g} s in vain until {what}")
        time.sleep(pause)


def settled(value, still_for=1.0, deadline=DEADLINE):
    """Waits until `value()` has not changed for `still_for` seconds, and returns it."""
    end = time.monotonic() + deadline
    last, since = value(), time.monotonic()
    while time.monotonic() - since < still_for:
        if time.monotonic() > end:
            raise AssertionError(f"still changing after {deadline:g} s (now {last})")
        time.sleep(0.02)
        now = value()
        if now != last:
            last, since = now, time.monotonic()
    return last


class Gate:
    """Closed until the test opens it. An origin handler that waits here holds its response for as long."""

    def __init__(self):
        self._event = threading.Event()
        self._arrived = threading.Semaphore(0)

    def open(self):
        self._event.set()

    def pass_through(self):
        """Waits until the gate is open."""
        self._arrived.release()
        if not self._event.wait(DEADLINE):
            raise AssertionError("the test never opened the gate")

    def wait_for_arrivals(self, count=1):
        """Waits until `count` more threads have come to the gate."""
        for _ in range(count):
            if not self._arrived.acquire(timeout=DEADLINE):
                raise AssertionError("nobody came to the gate")


def in_parallel(count, action):
    """Runs action(0) … action(count - 1), each in a thread of its own; returns a function that joins them all and
    returns their results, raising what any of them raised."""
    results, errors = [None] * count, []

    def run(index):
        try:
            results[index] = action(index)
        except BaseException as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(count)]
    for thread in threads:
        thread.start()

    def join():
        for thread in threads:
            thread.join(DEADLINE * 2)
            if thread.is_alive():
                raise AssertionError("a parallel action does not end")
        if errors:
            raise errors[0]
        return results

    return join
