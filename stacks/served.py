"""From a stack's settings to the models that its engines serve: names become what they stand for."""

from collections.abc import Mapping

from components.serving.vllm import Autoscale, Model
from facts import gpus, models, sizing
from facts.gpus import Gpu
from facts.site import Site
from facts.sizing import Demand, Fit
from stacks import settings as schema
from stacks.settings import Settings


def served(settings: Settings, site: Site) -> list[Model]:
    """The models of a stack, in the settings' order. Raises CatalogueError for a name that is not known."""
    return [_model(one, site) for one in settings.models]


def gpus_of(settings: Settings) -> Mapping[str, Gpu]:
    """Which GPU each model's engines take, by the model's name. Raises CatalogueError."""
    return {one.name: _gpu(one, settings) for one in settings.models}


def fits(settings: Settings, site: Site) -> Mapping[str, Fit]:
    """How each model fits where the settings put it, by the model's name. Raises CatalogueError."""
    kinds = gpus_of(settings)
    return {
        model.name: sizing.fit(model.demand, kinds[model.name], model.gpus)
        for model in served(settings, site)
    }


def _gpu(one: schema.Model, settings: Settings) -> Gpu:
    if one.gpu is not None:
        return gpus.gpu(one.gpu)
    assert settings.embedded is not None, "the settings ask for models.gpu on a cluster of one's own"
    return gpus.gpu_of_product(settings.embedded.gpu)


def _model(one: schema.Model, site: Site) -> Model:
    return Model(
        name=one.name,
        path=one.path,
        demand=Demand(
            model=models.find(one.architecture or one.name, site.models_file),
            quantization=gpus.quantization(one.quantization),
            context=one.max_length,
            concurrency=one.concurrency,
            cache=gpus.cache_type(one.cache) if one.cache else None,
        ),
        gpus=one.gpus,
        replicas=one.replicas,
        spare=one.spare,
        autoscale=Autoscale(one.autoscale.maximum, one.autoscale.waiting) if one.autoscale else None,
        priority=one.priority,
        failure_domain=one.failure_domain,
        arguments=one.arguments,
        image=one.image,
        writable_root=(one.writable_root.reason, one.writable_root.until.isoformat())
        if one.writable_root
        else None,
    )
