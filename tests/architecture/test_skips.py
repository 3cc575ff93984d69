from __future__ import annotations

import pytest

from tests.fixtures.sources import ROOT

WAYS_TO_SKIP = {
    "call": "import pytest\ndef test(): pytest.skip('later')",
    "marker": "import pytest\n@pytest.mark.skip(reason='later')\ndef test(): pass",
    "condition": "import pytest\n@pytest.mark.skipif(True, reason='later')\ndef test(): pass",
    "expected failure": "import pytest\n@pytest.mark.xfail\ndef test(): assert False",
    "unexpected pass": "import pytest\n@pytest.mark.xfail\ndef test(): pass",
    "module": "import pytest\npytest.skip('later', allow_module_level=True)",
    "missing import": "import pytest\npytest.importorskip('no_such_module')",
}


@pytest.mark.parametrize("way", WAYS_TO_SKIP)
def test_a_skip_fails_the_run(way: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(WAYS_TO_SKIP[way])

    result = pytester.runpytest_subprocess("-p", "tests.fixtures.skips_fail")

    assert result.ret != pytest.ExitCode.OK
    assert "skipped" not in result.parseoutcomes()
    result.stdout.fnmatch_lines("*Nothing skips silently*")
