# The README's commands. What they do is in the scripts.
SURVEY ?=
SHORT ?=

.PHONY: demo test build clean

demo:
	SURVEY="$(SURVEY)" SHORT="$(SHORT)" deploy/demo/run

test:
	tests/run

build:
	deploy/bootstrap
	deploy/build

clean:
	rm -rf build demo
