"""Machines by region: which hold a model, and what is said where none does."""

import pytest
import yaml

from facts import aws, gpus, instances, models
from facts.catalogue import CatalogueError
from facts.instances import NotThere, choose, would_fit_in
from facts.sizing import Demand

CLOUD = "aws"
PARIS, STOCKHOLM, BRANDENBURG = "eu-west-3", "eu-north-1", "eusc-de-east-1"
FAMILIES = yaml.safe_load(instances._FILE.read_text(encoding="utf-8"))["families"][CLOUD]


def demand(quantization: str = "fp8", context: int = 32768, concurrency: int = 4) -> Demand:
    return Demand(models.find("llama-3.3-70b"), gpus.quantization(quantization), context, concurrency)


def offered(region: str, asked: Demand, attested: tuple[str, ...] = ()) -> list[str]:
    return [str(one) for one in would_fit_in(CLOUD, region, asked, attested)]


#: what four GPUs with 24 GB have room for
SHORT = demand("int4", context=8192)


def test_paris_holds_a_70b_in_int4_on_four_gpus_and_in_fp8_on_eight() -> None:
    """The arithmetic of the design: no region of AWS in France has a GPU with more than 24 GB."""
    assert offered(PARIS, SHORT) == ["4 x A10G (g5.12xlarge)", "4 x L4 (g6.12xlarge)"]
    assert offered(PARIS, demand()) == ["8 x A10G (g5.48xlarge)", "8 x L4 (g6.48xlarge)"]
    assert all(one.gpu.memory < 24 for one in instances.instances(CLOUD, PARIS))


def test_stockholm_holds_it_on_one() -> None:
    assert "1 x H200 (p5e.48xlarge)" in offered(STOCKHOLM, demand())


def test_zones_in_which_alone_a_machine_is_offered_are_zones_of_the_region() -> None:
    assert instances.zones(CLOUD, PARIS, "g6.12xlarge") == ("euw3-az2", "euw3-az3")
    assert instances.zones(CLOUD, PARIS, "g5.12xlarge") == instances.zones("another", PARIS, "g6.1") == ()
    for data in FAMILIES.values():
        for region, ids in data.get("zones", {}).items():
            assert region in data["regions"]
            assert set(ids) <= set(aws.region(region).zone_ids)


def test_the_smallest_machine_that_has_enough() -> None:
    assert choose(CLOUD, PARIS, SHORT, "L4", 4).name == "g6.12xlarge"
    assert choose(CLOUD, PARIS, demand(), "L4", 8).name == "g6.48xlarge"
    assert choose(CLOUD, STOCKHOLM, demand(), "H100-80", 2).name == "p5.48xlarge"


def test_what_no_gpu_of_the_region_holds_is_refused_with_what_would_fit_there() -> None:
    with pytest.raises(NotThere, match=r"would fit as fp8 .*8 x L4 .g6\.48xlarge., .*as int4 .*L4") as caught:
        choose(CLOUD, PARIS, demand("bf16"), "L4", 8)
    assert "bf16 on 8 x L4 in eu-west-3" in str(caught.value)


def test_too_few_of_them_are_refused_with_how_many_it_takes() -> None:
    with pytest.raises(NotThere, match=r"112\.1 GiB are needed .* There would fit .*8 x L4"):
        choose(CLOUD, PARIS, demand(), "L4", 4)


def test_a_gpu_that_the_region_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(NotThere, match=r"No machine there is known to have 8 x H100-80; there is .*L4"):
        choose(CLOUD, PARIS, demand(), "H100-80", 8)


def test_where_nothing_holds_it_less_is_to_be_asked_for() -> None:
    with pytest.raises(NotThere, match="ask for less context or fewer requests at once"):
        choose(CLOUD, PARIS, demand(context=131072, concurrency=64), "L4", 8)


def test_what_nobody_has_told_is_not_known_until_somebody_attests_it() -> None:
    assert instances.instances(CLOUD, BRANDENBURG) == ()
    with pytest.raises(NotThere, match=r"is not known.*describe-instance-type-offerings"):
        choose(CLOUD, BRANDENBURG, demand(), "L4", 8)
    assert offered(BRANDENBURG, demand(), ("g6.48xlarge",)) == ["8 x L4 (g6.48xlarge)"]
    assert choose(CLOUD, BRANDENBURG, demand(), "L4", 8, ("g6.48xlarge",)).name == "g6.48xlarge"


def test_a_machine_can_be_looked_up_by_its_gpu() -> None:
    assert [one.name for one in instances.instances(CLOUD, PARIS, "L4")] == [
        "g6.4xlarge",
        "g6.12xlarge",
        "g6.48xlarge",
    ]
    assert instances.instances(CLOUD, "eu-nowhere-1") == instances.instances("another cloud", PARIS) == ()


def test_a_gpu_that_there_is_not() -> None:
    with pytest.raises(CatalogueError, match="H900"):
        choose(CLOUD, PARIS, demand(), "H900", 8)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_each_family_is_of_known_gpus_and_regions_with_a_source(family: str) -> None:
    told = FAMILIES[family]
    assert gpus.gpu(told["gpu"])
    for region, source in told["regions"].items():
        assert aws.region(region).partition.name == "aws", "other partitions have families of their own"
        assert source in ("S1", "S2", "S3", "S4", "S5")


def test_nvlink_joins_several() -> None:
    by_name = {one.name: one for one in instances.instances(CLOUD, STOCKHOLM)}
    assert by_name["p5.48xlarge"].nvlink
    assert not by_name["g6.48xlarge"].nvlink
