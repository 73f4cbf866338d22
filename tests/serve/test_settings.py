"""Values that no server can have."""

import pytest

from ocrexp.config.compose import compose
from ocrexp.deploy.settings import settings_from
from ocrexp.errors import ConfigError
from ocrexp.serve.settings import ServeSettings


@pytest.mark.parametrize(
    "override",
    [
        *(
            f"{key}={value}"
            for key in ("timeout", "max_file_mb", "max_request_mb")
            for value in ("0", "inf", "nan", "-1")
        ),
        *("dpi=0", "batch_images=0", "max_queue=0", "max_images=65", "max_pages=-1", "port=65536", "port=-1"),
        *("batch_wait_ms=-1", "batch_wait_ms=inf", "page=maybe", "host=null", "timeout=long"),
    ],
)
def test_a_value_that_cannot_be_used_is_one_line(override):
    with pytest.raises(ConfigError) as raised:
        settings_from(compose("serve", [override]), ServeSettings).checked()
    assert str(raised.value).startswith(override.partition("=")[0])
    assert "\n" not in str(raised.value)
