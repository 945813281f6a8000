# The README's commands. What they do is in the scripts.
SURVEY ?=
SHORT ?=
REPRODUCE ?=
FUZZ_RECORDS ?= 1000000
SEEDS ?= 100000
SECONDS ?= 600

.PHONY: demo test recipes test-faults test-hosts test-slurm test-openmpi5 test-kubernetes test-container test-trl test-trackers \
  test-wheel test-deb test-grpcurl test-docs docs test-asan test-tsan fuzz simulate bench reproduce check-gpu \
  protocol protocol-release soak build clean

demo:
	SURVEY="$(SURVEY)" SHORT="$(SHORT)" deploy/demo/run

test:
	tests/run

# The recipes of docs/development.md for an example each, compiled.
recipes:
	deploy/bootstrap --tests
	deploy/build --programs
	tests/recipes/recipes_test.py --compile

# Every fault of docs/faults.md, with real processes; networks of its own need root. The last line is "N passed, N failed".
test-faults:
	tests/run -C slow -L faults

# Jobs over three hosts, which are network namespaces of this machine: needs root.
test-hosts:
	deploy/bootstrap --tests
	deploy/build --programs
	python3 tests/integration/hosts_test.py -v

# Jobs in a real Slurm, over two nodes on this machine: needs root.
test-slurm:
	deploy/bootstrap --tests --slurm
	deploy/build --programs
	python3 tests/integration/slurm_test.py -v

# Jobs under Open MPI 5, over three network namespaces: needs root.
test-openmpi5:
	deploy/bootstrap --tests --openmpi5
	deploy/build --programs
	python3 tests/integration/openmpi5_test.py -v

# The files for Kubeflow in a real API server of custom resources, which is built first (ten minutes).
test-kubernetes:
	deploy/bootstrap --tests --kubernetes
	deploy/build --programs
	python3 tests/integration/kubernetes_test.py -v

# The image, with these programs: needs root.
test-container:
	deploy/bootstrap --tests --containers
	deploy/build --programs
	python3 tests/integration/container_test.py -v

# TRL itself trains 20 steps of what `equipoise convert` makes a job of: the losses are the same. Two minutes.
test-trl:
	deploy/bootstrap --tests
	deploy/build --programs
	python3 tests/integration/trl_test.py -v

# The commands of README.md and of every page, in order, in a fresh folder for each page. Ten minutes.
test-docs:
	deploy/bootstrap --tests
	deploy/build --programs
	DOCS_PAGES=all python3 tests/integration/docs_test.py -v

# Runs sent to the real wandb, MLflow and trackio, on this machine.
test-trackers:
	deploy/bootstrap --tests
	deploy/bootstrap --trackers
	deploy/build --programs
	python3 tests/integration/trackers_test.py -v

# The wheel of deploy/wheel in a fresh Debian that has Python and Open MPI only: needs root.
test-wheel:
	deploy/bootstrap --wheel
	deploy/wheel
	python3 tests/integration/wheel_test.py -v

# The Debian package of deploy/deb, installed by apt in a fresh Debian: needs root.
test-deb:
	deploy/bootstrap --deb
	deploy/deb
	python3 tests/integration/deb_test.py -v

# Every example of docs/grpcurl.md with the real grpcurl, which is built first (two minutes).
test-grpcurl:
	deploy/bootstrap --tests --grpcurl
	deploy/build --programs
	EQUIPOISE_GRPCURL=.deps/bin/grpcurl python3 tests/integration/grpcurl_test.py -v

# The coordinator and the worker's control threads under sanitizers: a build of its own each.
test-asan:
	tests/sanitize asan

test-tsan:
	tests/sanitize tsan

# A million made-up reports and records through the coordinator's database: whatever is stored can be loaded.
fuzz:
	deploy/bootstrap --tests
	deploy/build coordinator_core_test
	cd tests && FUZZ_RECORDS=$(FUZZ_RECORDS) ../build/release/bin/coordinator_core_test \
	  --gtest_filter='ExtremeSteps.*:RandomDamage*:ReportFormat.*' --gtest_output=json:../build/fuzz.json \
	  > /dev/null || { grep -A 3 '"failure"' ../build/fuzz.json; exit 1; }
	@echo "no record did harm"

# A hundred thousand lives of the coordinator's core, with faults drawn from a number each. A number that fails is said
# with its events; EQUIPOISE_SIMULATION_SEED=N runs it alone.
simulate:
	deploy/bootstrap --tests
	deploy/build coordinator_simulation_test
	cd tests && EQUIPOISE_SIMULATION_SEEDS=$(SEEDS) ../build/release/bin/coordinator_simulation_test

# Ten minutes of random faults on real jobs: recovery, goodput, steps lost or doubled, and the same end bit by bit.
soak:
	deploy/bootstrap --tests
	deploy/build --programs
	tests/soak/soak.py --seconds $(SECONDS)

bench:
	deploy/bootstrap --bench
	deploy/build equipoise equipoise-coordinator equipoise-worker equipoise_bench equipoise_layouts_bench \
	  equipoise_load_bench equipoise_step_bench
	cd tests && ../build/release/bin/equipoise_bench
	build/release/bin/equipoise_layouts_bench
	build/release/bin/equipoise_step_bench
	python3 tests/bench/through_coordinator.py
	python3 tests/bench/live.py
	build/release/bin/equipoise_load_bench build/release/bin/equipoise-coordinator

# Options of `equipoise reproduce bandits`: make reproduce REPRODUCE="--features flipped --seeds 50"
reproduce:
	deploy/bootstrap
	deploy/build --programs equipoise
	build/release/bin/equipoise reproduce bandits --output build/reproduce $(REPRODUCE)

# One archive for a machine with a GPU and Python's torch, and its checks here up to the missing driver.
check-gpu:
	deploy/check-gpu

# docs/reference/api.md and the keys of docs/configuration.md anew, after a change of the .proto files, and their checks.
protocol:
	deploy/bootstrap --tests
	.ci/protocol --write
	.ci/protocol

# With a release: from then on nothing of the protocol as it is may be broken.
protocol-release:
	deploy/bootstrap --tests
	.ci/protocol --release

# The site of docs/, in build/site: open build/site/index.html. Links that lead nowhere are refused.
docs:
	deploy/bootstrap --docs
	deploy/site/build

build:
	deploy/bootstrap
	deploy/build --programs

clean:
	rm -rf build demo
