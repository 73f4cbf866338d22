"""What all postprocesses of detectors share."""

from omegaconf import OmegaConf

from ocrexp.config.paths import shipped_conf
from ocrexp.deploy.description import Description
from ocrexp.deploy.description_check import check_description
from ocrexp.postprocess.detectors import POSTPROCESSES


def test_shipped_values_can_be_described_and_deployed() -> None:
    """A description checks values by their names, which resizes and postprocesses share."""
    deployed = set()
    for path in (shipped_conf() / "postprocess").glob("*.yaml"):
        values = OmegaConf.to_container(OmegaConf.load(path))
        name = str(values.pop("_target_", "")).rpartition(".")[2]
        if name in POSTPROCESSES:
            postprocess = {"name": name, **values}
            check_description(Description("det", "", {"kind": "DetResize"}, (0.5,), (0.5,), postprocess))
            assert POSTPROCESSES[name](**values).box_type in ("quad", "poly")
            deployed.add(name)
    assert deployed == set(POSTPROCESSES)
