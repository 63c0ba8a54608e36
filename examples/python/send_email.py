#!/usr/bin/env python3
"""Publishes an `email.send` job to Warren and waits until the broker has it.

    send_email.py [--id UUID] TO SUBJECT TEXT
"""

import argparse
import json
import os
import secrets
import signal
import sys
import time
import uuid

import pika
from pika.exceptions import AMQPError, NackError, UnroutableError

CONTRACT = "email.send"
# A queue without a majority of its nodes neither confirms nor refuses.
CONFIRM_TIMEOUT_S = 10


def uuid7() -> str:
    """A UUID of version 7, whose order is time; Python has its own from 3.14 on."""
    value = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76  # version
    value = value & ~(0x3 << 62) | 0x2 << 62  # variant
    return str(uuid.UUID(int=value))


def publish(job_id: str, payload: dict) -> None:
    """Returns once the broker has the message; raises otherwise."""
    url = os.environ.get("RABBITMQ_URL", "amqp://guest:guest@localhost:5672").split(",")[0]
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.basic_publish(
            exchange="jobs",
            routing_key=CONTRACT,
            body=json.dumps(payload).encode(),
            mandatory=True,
            properties=pika.BasicProperties(
                message_id=job_id,
                type=CONTRACT,
                content_type="application/json",
                delivery_mode=2,  # persistent
                timestamp=int(time.time()),
                headers={"x-attempt": 1},
            ),
        )
    finally:
        if connection.is_open:
            connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Publishes an email.send job.")
    parser.add_argument("--id", type=uuid.UUID, help="the id of an earlier try that may have failed")
    parser.add_argument("to")
    parser.add_argument("subject")
    parser.add_argument("text")
    args = parser.parse_args()
    job_id = str(args.id or uuid7())

    def give_up(*_):
        raise TimeoutError(f"no confirm within {CONFIRM_TIMEOUT_S} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(CONFIRM_TIMEOUT_S)
    try:
        publish(job_id, {"to": args.to, "subject": args.subject, "text": args.text})
    except UnroutableError:
        sys.exit("Not published: no queue takes email.send. Has `npm run migrate` been run?")
    except NackError:
        sys.exit("Not published: the broker refused it. Is the queue full?")
    except (AMQPError, OSError) as error:  # a TimeoutError is an OSError
        reason = str(error) or type(error).__name__
        sys.exit(f"Not known whether it was published: {reason}. Try again with --id {job_id}")
    print(job_id)


if __name__ == "__main__":
    main()
