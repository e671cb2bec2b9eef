"""What operators and drivers reach: the table says it for each in one way, and its hosts can be judged."""

from facts import integrations
from policies.walkers import hosts


def test_a_secret_store_says_its_place_in_one_way() -> None:
    for name, store in integrations.secret_stores().items():
        assert (store.host is None) != (store.region is None), name
        assert (store.region is None) == (store.cloud == ""), name
        assert store.default is None or hosts.normalise(store.default) == store.default, name


def test_a_name_service_has_a_host() -> None:
    assert all(hosts.normalise(host) == host for host in integrations.name_services().values())


def test_a_kind_of_volume_is_served_by_drivers_of_the_forms_that_a_zone_names() -> None:
    assert integrations.volume_sources()["cinder"] == ("kubernetes.io/cinder", "cinder.csi.openstack.org")
    assert integrations.encrypted_by()["ebs.csi.aws.com"] == "encrypted"
