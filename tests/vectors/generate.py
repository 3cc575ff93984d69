"""Make the vector files anew: `python -m tests.vectors.generate` in the repository's root.

Keys follow from names, signatures, certificates' serial numbers and encryptions do not: every run writes other bytes.
The committed files were made once; make them again only when a format changes, with a new version in its name.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.vectors import certificate_cases as certificates
from tests.vectors import receipt_cases as receipts
from tests.vectors import sealed_cases as sealed
from tests.vectors import signed_cases as signed
from tests.vectors.cast import Cast
from tests.vectors.files import Case, write


def main() -> None:
    cast = Cast()
    save("certificate_pairs", certificates.pair_cases(cast), verifier="verify_doctor")
    save("issuing_cas", certificates.ca_cases(), verifier="verify_issuing_cas")
    save("crls", certificates.crl_cases(cast), verifier="verify_crl")
    save("canonical_json", signed.canonical_cases(cast), verifier="decode_manifest")
    save("manifests", signed.manifest_cases(cast), verifier="verify_manifest")
    save("vault_statements", signed.statement_cases(cast), verifier="verify_vault_statement")
    save("enrolments", signed.enrolment_cases(cast), verifier="verify_enrolment")
    grants, single, chains = signed.grant_cases(cast)
    save("grants", single, verifier="verify_grant", grants=grants)
    save("grant_chains", chains, verifier="verify_grant_chain")
    save("frames", sealed.frame_cases(cast), verifier="open_frame")
    expected, objects = sealed.object_cases(cast)
    save("objects", objects, verifier="open_object", expected=expected)
    save("requests", sealed.request_cases(cast), verifier="verify_request", skew=300, doctor="ada")
    save("answers", sealed.answer_cases(), verifier="open_answer", message="Done")
    save("receipts", receipts.receipt_cases(cast), verifier="verify_record_receipt", manifest=_record(cast))
    write("actors", cast.file())


def save(name: str, cases: Iterable[Case], **head: object) -> None:
    listed = list(cases)
    if len({case["name"] for case in listed}) != len(listed):
        raise ValueError(f"{name}: two cases have one name")
    write(name, head | {"cases": [_shared(case) for case in listed]})


def _shared(case: Case) -> Case:
    return {key: value for key, value in case.items() if (key, value) != ("manifest", "the record's")}


def _record(cast: Cast) -> str:
    return receipts.manifest_of(cast)[1].decode()


if __name__ == "__main__":
    main()
