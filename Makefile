# The README's commands. What they do is in the scripts.
SURVEY ?=
SHORT ?=
REPRODUCE ?=

.PHONY: demo test reproduce build clean

demo:
	SURVEY="$(SURVEY)" SHORT="$(SHORT)" deploy/demo/run

test:
	tests/run

# Options of `equipoise reproduce bandits`: make reproduce REPRODUCE="--features flipped --seeds 50"
reproduce:
	deploy/bootstrap
	deploy/build equipoise
	build/release/bin/equipoise reproduce bandits --output build/reproduce $(REPRODUCE)

build:
	deploy/bootstrap
	deploy/build

clean:
	rm -rf build demo
