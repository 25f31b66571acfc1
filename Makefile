# SPDX-License-Identifier: GPL-3.0-or-later
# Sets up everything in .venv and runs it there. Any target may be called on a fresh machine, called again, or
# interrupted: finished steps leave a stamp, unfinished ones are repeated.

# The Python that the distribution's GNU Radio is built for.
PYTHON ?= /usr/bin/python3
VENV ?= $(CURDIR)/.venv
BUILD ?= $(CURDIR)/build
# Where torch's CPU build comes from; if it does not answer (or is set empty), pip's configured sources are asked.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH ?= torch==2.13.0+cpu
PYTEST_ARGS ?= -n 2 --dist loadfile --durations 5
FUZZ_RUNS ?= 1e5
COVERED := coding fec modem channel audio burst_header rate_control profile weights untrusted
DEMO_IN ?= examples/speech.wav
DEMO_OUT ?= demo

PIP := $(VENV)/bin/pip --disable-pip-version-check -qq
CONSTRAINTS := -c requirements/constraints.txt
STAMPS := $(VENV)/stamps
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
APT_INSTALL := $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends
# One thread a process: on small nets more threads cost more than they bring. No display is needed.
RUN := OMP_NUM_THREADS=1 QT_QPA_PLATFORM=offscreen GRC_BLOCKS_PATH=$(VENV)/share/gnuradio/grc/blocks

# pip builds some packages (pesq) from source against numpy, in an environment that obeys only this variable.
export PIP_CONSTRAINT := $(CURDIR)/requirements/constraints.txt

.DELETE_ON_ERROR:
.PHONY: help demo test lint fuzz coverage install venv doctor system clean distclean

help:
	@echo 'make demo     send a recorded sentence through the whole system; leaves sound and a report in $(DEMO_OUT)/'
	@echo 'make test     check the style, install, and run every test'
	@echo 'make fuzz     send hostile input to all that reads files, packets and messages'
	@echo 'make coverage run the tests of the pure rooms and print which lines they reach'
	@echo 'make install  install the module into .venv (and first whatever it needs)'
	@echo 'make doctor   say what is installed, what is wrong and how to mend it'
	@echo 'make venv     only the Debian packages and the Python environment'
	@echo 'make clean    remove build/ and $(DEMO_OUT)/; make distclean: .venv too'
	@echo
	@echo 'With GNU Radio installed and no wish for .venv:'
	@echo '  cmake -S . -B build && cmake --build build && sudo cmake --install build'

demo: install
	@mkdir -p $(DEMO_OUT)
	$(RUN) $(VENV)/bin/soundspring link $(DEMO_IN) $(DEMO_OUT)/received.wav --report $(DEMO_OUT) --json $(DEMO_OUT)/figures.json
	@echo 'Listen to $(DEMO_OUT)/received.wav, and open $(DEMO_OUT)/index.html in a browser.'

test: lint install $(STAMPS)/test
	$(RUN) $(VENV)/bin/python -m pytest $(PYTEST_ARGS)

lint: $(STAMPS)/test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

# Not part of the tests, which only replay the inputs that it kept.
fuzz: install $(STAMPS)/test
	$(PIP) install $(CONSTRAINTS) atheris
	$(RUN) $(VENV)/bin/python tests/fuzz/fuzz.py --runs $(FUZZ_RUNS)

coverage: install $(STAMPS)/test
	$(PIP) install $(CONSTRAINTS) pytest-cov
	$(RUN) $(VENV)/bin/python -m pytest $(COVERED:%=tests/%) $(COVERED:%=--cov=soundspring.%) --cov-report=term-missing:skip-covered

install: venv
	@cmake -S . -B $(BUILD) -DCMAKE_INSTALL_PREFIX=$(VENV) -DPYTHON_EXECUTABLE=$(VENV)/bin/python > $(VENV)/cmake.log \
		&& cmake --build $(BUILD) >> $(VENV)/cmake.log && cmake --install $(BUILD) >> $(VENV)/cmake.log \
		|| { cat $(VENV)/cmake.log; exit 1; }
	@echo 'Compiling the inner loops (the first time up to a minute)'
	@$(RUN) $(VENV)/bin/python -m gnuradio.soundspring.kernels
	@echo 'Installed: $(VENV)/bin/soundspring'
	@sh cmake/venv-grc.sh $(VENV)
	@echo 'GRC with our blocks: $(VENV)/bin/gnuradio-companion'

doctor: install
	@GRC_BLOCKS_PATH=$(VENV)/share/gnuradio/grc/blocks $(VENV)/bin/soundspring doctor

venv: $(STAMPS)/torch $(STAMPS)/runtime $(STAMPS)/metrics $(STAMPS)/peers

# Debian packages: asked for only when something is missing.
system:
	@missing="$$(sh cmake/missing-packages.sh $(PYTHON))"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get > /dev/null; then \
		echo "Please install what Debian calls: $$missing"; exit 1; fi; \
	echo "Installing Debian packages: $$missing"; \
	$(SUDO) apt-get update -qq && $(APT_INSTALL) $$missing > /dev/null

$(STAMPS)/venv: | system
	@echo 'Making the Python environment $(VENV)'
	@$(PYTHON) -m venv --clear --system-site-packages $(VENV)
	@mkdir -p $(STAMPS) && touch $@

# The +cpu in the version keeps pip from ever taking the CUDA build, gigabytes, by accident.
$(STAMPS)/torch: $(STAMPS)/venv requirements/constraints.txt
	@echo 'Installing torch, CPU build (200 MB)'
	@index='$(TORCH_INDEX)'; \
	if [ -n "$$index" ] && timeout 8 $(PYTHON) -c "import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=5)" \
		"$$index/torch/" 2> /dev/null && $(PIP) install $(CONSTRAINTS) --index-url "$$index" '$(TORCH)'; \
	then :; elif $(PIP) install $(CONSTRAINTS) '$(TORCH)'; then :; else \
		echo 'No CPU build of torch: neither $(TORCH_INDEX) nor pip has $(TORCH).'; \
		echo 'Give another index with TORCH_INDEX=URL, or take any build, CUDA perhaps, with TORCH=torch.'; exit 1; fi
	@touch $@

$(STAMPS)/runtime: requirements/runtime.txt requirements/constraints.txt $(STAMPS)/torch
	@echo 'Installing the Python packages the module needs'
	@$(PIP) install $(CONSTRAINTS) -r $<
	@touch $@

# Measures of speech quality are optional: without them reports say null. pesq comes as source and needs an isolated
# build, or it meets a setuptools that no longer has what Debian's numpy asks of it.
$(STAMPS)/metrics: requirements/metrics.txt requirements/constraints.txt $(STAMPS)/runtime
	@echo 'Installing the measures of speech quality'
	@$(PIP) install $(CONSTRAINTS) --use-pep517 -r $< > $(VENV)/metrics.log 2>&1 || for name in $$(grep -v '^#' $<); do \
		$(PIP) install $(CONSTRAINTS) --use-pep517 $$name >> $(VENV)/metrics.log 2>&1 \
		|| echo "Going on without $$name; $(VENV)/metrics.log says what is wrong"; done
	@touch $@

# The codecs that comparisons have as peers are optional, too: asked for once, and without them it goes on.
$(STAMPS)/peers: cmake/missing-packages.sh $(STAMPS)/venv
	@missing="$$(sh cmake/missing-packages.sh $(PYTHON) peers)"; \
	if [ -n "$$missing" ]; then echo "Installing Debian packages of other codecs: $$missing"; \
		$(SUDO) apt-get update -qq && $(APT_INSTALL) $$missing > /dev/null \
		|| echo "Going on without them: no $$missing"; fi
	@touch $@

$(STAMPS)/test: requirements/test.txt requirements/constraints.txt $(STAMPS)/runtime
	@echo 'Installing the test tools'
	@$(PIP) install $(CONSTRAINTS) -r $<
	@touch $@

clean:
	rm -rf $(BUILD) $(DEMO_OUT)

distclean: clean
	rm -rf $(VENV)
