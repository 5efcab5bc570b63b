"""Registered models: a version points at its DVC out by path and hash, and holds no copy of it."""

from typing import TYPE_CHECKING

from seedbed.tracking.journal import Event

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

PATH_TAG, HASH_TAG = "dvc.path", "dvc.hash"


def send_version(client: "MlflowClient", run_id: str, event: Event) -> None:
    """Register what the event describes unless a version of this path and hash is there; then the aliases.

    The source is `dvc:<path>`: MLflow has nothing to fetch, `dvc pull <path>` at the version's commit has.
    Sending twice changes nothing.
    """
    from mlflow.exceptions import MlflowException

    name, tags = event["model"], event["tags"]
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    same = [
        version
        for version in client.search_model_versions(f"name = '{name}'")
        if all(version.tags.get(tag) == tags[tag] for tag in (PATH_TAG, HASH_TAG))
    ]
    if same:
        number = str(max(same, key=lambda version: int(version.version)).version)
        for tag, value in tags.items():
            client.set_model_version_tag(name, number, tag, value)
    else:
        made = client.create_model_version(name, source=f"dvc:{tags[PATH_TAG]}", run_id=run_id, tags=tags)
        number = str(made.version)
    for alias in event["aliases"]:
        client.set_registered_model_alias(name, alias, number)
