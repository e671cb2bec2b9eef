"""The registry of images: repositories of the site's own, encrypted with its key, whose tags never move."""

from collections.abc import Mapping, Sequence
from typing import Final

from pulumi import ComponentResource, Input, Output, ResourceOptions
from pulumi_aws.ecr import Repository, RepositoryPolicy

from components.aws.place import Place
from components.aws.policy import document

#: docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html
_PULL: Final = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
_PUSH: Final = (
    *("ecr:CompleteLayerUpload", "ecr:DescribeImages", "ecr:InitiateLayerUpload", "ecr:PutImage"),
    "ecr:UploadLayerPart",
)


#: One repository for each of components/ground.py's Images.
IMAGES: Final = ("audit", "gateway", "verifier", "vllm")


class Registry(ComponentResource):
    """One repository for each image, pulled by nodes and filled by publishers only."""

    host: str  #: the registry's name, for the zone's `registries`
    repositories: Mapping[str, Output[str]]  #: name -> URL, without tag and digest

    def __init__(
        self,
        name: str,
        place: Place,
        key: Input[str],
        repositories: Sequence[str],
        nodes: Input[str],
        publishers: Sequence[str] = (),
        opts: ResourceOptions | None = None,
    ) -> None:
        """`key`, and `nodes` and `publishers` (roles), by ARN."""
        super().__init__("sovereign:aws:Registry", name, None, opts)
        self.host = f"{place.account}.dkr.ecr.{place.region}.{place.dns_suffix}"
        pull = {"Sid": "Pull", "Effect": "Allow", "Principal": {"AWS": nodes}, "Action": list(_PULL)}
        push = {
            "Sid": "Push",
            "Effect": "Allow",
            "Principal": {"AWS": list(publishers)},
            "Action": [*_PULL, *_PUSH],
        }
        made = {}
        for image in repositories:
            repository = Repository(
                f"{name}-{image}",
                name=f"{place.name}/{image}",
                encryption_configurations=[{"encryption_type": "KMS", "kms_key": key}],
                image_tag_mutability="IMMUTABLE",
                image_scanning_configuration={"scan_on_push": True},
                force_delete=False,
                # another key is another repository, and what runs was pulled from this one
                opts=place.within(self, protect=True, retain_on_delete=True),
            )
            RepositoryPolicy(
                f"{name}-{image}",
                repository=repository.name,
                policy=document(pull, *([push] if publishers else [])),
                opts=place.within(self),
            )
            made[image] = repository.repository_url
        self.repositories = made
        self.register_outputs({"host": self.host})
