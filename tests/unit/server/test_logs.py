from __future__ import annotations

import io
import json
import logging

from vaultq_core.errors import NotFound
from vaultq_core.server.logs import configure_logs, logger


def test_a_line_is_one_json_object(log: io.StringIO) -> None:
    logger("edge").info("request", status=200, path="/v1/vault")

    line = json.loads(log.getvalue())
    assert line["event"] == "request"
    assert (line["logger"], line["level"], line["status"], line["path"]) == ("edge", "info", 200, "/v1/vault")
    assert line["time"].endswith("Z")


def test_a_field_without_a_name_in_the_list_is_withheld(log: io.StringIO) -> None:
    logger("edge").info("request", body="secret", authorization="secret", query="secret")

    assert "secret" not in log.getvalue()


def test_a_value_that_is_not_plain_is_withheld(log: io.StringIO) -> None:
    logger("edge").info("request", detail=b"secret", reason={"a": "secret"}, path=["secret"])

    assert "secret" not in log.getvalue()


def test_a_foreign_exception_is_named_but_not_quoted(log: io.StringIO) -> None:
    try:
        dict[str, str]()["secret"]
    except KeyError:
        logger("edge").exception("failed")

    line = json.loads(log.getvalue())
    assert line["exception"] == "KeyError"
    assert any("test_logs.py" in frame for frame in line["traceback"])
    assert "secret" not in log.getvalue()


def test_an_error_of_ours_keeps_its_message(log: io.StringIO) -> None:
    logger("edge").error("failed", exc_info=NotFound("no such doctor"))

    assert json.loads(log.getvalue())["exception"] == "NotFound: no such doctor"


def test_a_librarys_warning_becomes_a_line_too(log: io.StringIO) -> None:
    logging.getLogger("library").warning("half-\nway")

    assert json.loads(log.getvalue())["detail"] == "half-\nway"


def test_the_level_is_kept(log: io.StringIO) -> None:
    configure_logs("warning", log)
    logger("edge").info("request")

    assert log.getvalue() == ""


def test_a_line_is_written_at_once_since_workers_share_the_file() -> None:
    class Writes(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    written: list[str] = []
    configure_logs("info", Writes())
    logger("edge").info("request", status=200)

    assert [text.endswith("}\n") for text in written] == [True]
