#!/usr/bin/env python3
"""Makes schemas.json.xz, JSON schemas that know every key of the kinds in deploy/kubernetes: those of Kubernetes from
the package kubernetes-validate, those of Kubeflow from the custom resource definitions in its Go modules. Descriptions are
left out. With PyYAML:

    go mod download -json github.com/kubeflow/mpi-operator@v0.6.0 github.com/kubeflow/trainer/v2@v2.1.0
    make_schemas.py SITE-PACKAGES/kubernetes_validate MPI-OPERATOR-FOLDER TRAINER-FOLDER
"""

import json
import lzma
import pathlib
import re
import sys

import yaml

KUBERNETES = "v1.34.0-local-strict"
CORE = {"v1 Namespace": "namespace-v1", "v1 PersistentVolumeClaim": "persistentvolumeclaim-v1",
        "v1 Service": "service-v1", "apps/v1 Deployment": "deployment-apps-v1"}


def without_descriptions(part):
    if isinstance(part, dict):
        return {key: without_descriptions(value) for key, value in part.items()
                if not (key == "description" and isinstance(value, str))}
    return [without_descriptions(value) for value in part] if isinstance(part, list) else part


def strict(part):
    """A custom resource's schema as the API server takes it with fieldValidation=Strict: no other keys than these."""
    if isinstance(part, list):
        return [strict(value) for value in part]
    if not isinstance(part, dict):
        return part
    made = {key: strict(value) for key, value in part.items()}
    if isinstance(part.get("properties"), dict) and not part.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    if part.get("x-kubernetes-int-or-string"):
        made.pop("pattern", None)
    return made


def core_schema(folder, name):
    """With the definitions that it refers to, directly or not."""
    definitions = json.loads((folder / "_definitions.json").read_text())["$defs"]
    schema = json.loads((folder / f"{name}.json").read_text())
    schema.pop("$id", None)
    needed, fresh = {}, [schema]
    while fresh:
        for reference in re.findall(r'#/\$defs/([^"]*)"', json.dumps(fresh.pop())):
            if reference not in needed:
                needed[reference] = definitions[reference]
                fresh.append(definitions[reference])
    text = json.dumps({**schema, "$defs": needed})
    return json.loads(re.sub(r'"\$ref": "[^"#]*#', '"$ref": "#', text))


def custom_schemas(file):
    definition = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)["spec"]
    for version in definition["versions"]:
        schema = strict(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}
        yield f"{definition['group']}/{version['name']} {definition['names']['kind']}", schema


def main():
    package, operator, trainer = (pathlib.Path(argument) for argument in sys.argv[1:])
    schemas = {kind: core_schema(package / "kubernetes-json-schema" / KUBERNETES, name) for kind, name in CORE.items()}
    for file in (operator / "manifests/base/kubeflow.org_mpijobs.yaml",
                 trainer / "manifests/base/crds/trainer.kubeflow.org_trainingruntimes.yaml",
                 trainer / "manifests/base/crds/trainer.kubeflow.org_trainjobs.yaml"):
        schemas.update(custom_schemas(file))
    text = json.dumps(without_descriptions(schemas), sort_keys=True, separators=(",", ":"))
    pathlib.Path(__file__).with_name("schemas.json.xz").write_bytes(lzma.compress(text.encode(), preset=9))


if __name__ == "__main__":
    main()
