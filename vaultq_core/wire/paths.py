"""Paths of the HTTP interface and media types, for servers and clients alike."""

from __future__ import annotations

from typing import Final

VAULT: Final = "/v1/vault"
RECORDS: Final = "/v1/records"
REQUESTS: Final = "/v1/requests"
CHECKPOINT: Final = "/v1/log/checkpoint"
CONSISTENCY: Final = "/v1/log/consistency"
LOG_ENTRIES: Final = "/v1/log/entries"
ENROLMENTS: Final = "/v1/enrolments"
DOCTORS: Final = "/v1/doctors"
PENDING: Final = "/v1/doctors/pending"
STATUS: Final = "/v1/status"
RENEWAL: Final = "/v1/renewal"

FRAME_TYPE: Final = "application/vnd.vaultq.frame"
REQUEST_TYPE: Final = "application/vnd.vaultq.request"
ANSWER_TYPE: Final = "application/vnd.vaultq.answer"
RECEIPT_TYPE: Final = "text/plain; charset=utf-8"
