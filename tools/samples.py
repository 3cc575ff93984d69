"""Three real medical files for the demo: a DICOM image, a PDF and a FHIR R4 bundle."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydicom.data import get_testdata_file


@dataclass(frozen=True, slots=True)
class Sample:
    """A file with what a doctor would call it."""

    path: Path
    title: str
    kind: str
    media_type: str


def sample_files(directory: Path) -> list[Sample]:
    """Write the three files into `directory` and return them."""
    dicom = Path(str(get_testdata_file("CT_small.dcm", download=False)))
    image = directory / "ct-thorax.dcm"
    shutil.copyfile(dicom, image)
    letter = directory / "discharge-letter.pdf"
    letter.write_bytes(_pdf("Discharge letter", "Recovered well. Follow-up in six weeks."))
    bundle = directory / "laboratory.fhir.json"
    bundle.write_text(json.dumps(_fhir_bundle(), indent=2), encoding="utf-8")
    return [
        Sample(image, "CT thorax", "imaging", "application/dicom"),
        Sample(letter, "Discharge letter", "letter", "application/pdf"),
        Sample(bundle, "Laboratory report", "laboratory", "application/fhir+json"),
    ]


def _pdf(title: str, line: str) -> bytes:
    """Return a one-page PDF 1.4 with a correct cross-reference table (ISO 32000-1, 7.5)."""
    text = f"BT /F1 20 Tf 72 740 Td ({title}) Tj 0 -36 Td /F1 12 Tf ({line}) Tj ET".encode()
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Font << /F1 5 0 R >> >>",
    )
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(out))
    return bytes(out) + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + trailer


def _fhir_bundle() -> dict[str, object]:
    """Return a FHIR R4 collection bundle with a patient and one observation (LOINC 718-7)."""
    patient = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Müller", "given": ["Jonas"]}]}
    observation = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7", "display": "Hemoglobin"}]},
        "subject": {"reference": "urn:uuid:7b9f6a42-3c64-4f05-9d55-0a4f8f2e0c11"},
        "valueQuantity": {"value": 14.2, "unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"},
    }
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"fullUrl": "urn:uuid:7b9f6a42-3c64-4f05-9d55-0a4f8f2e0c11", "resource": patient},
            {"fullUrl": "urn:uuid:1c2bb1a6-55f4-4b0e-8a0c-6c3a3e1c9f02", "resource": observation},
        ],
    }
