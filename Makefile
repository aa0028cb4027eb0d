# The front door. What each target does is in scripts/, one file each.
.PHONY: help run test test-vm check release bench docs lint clean

help:
	@echo 'make run      from a fresh Debian or Ubuntu to a running sandbox'
	@echo 'make test     every test, on the static release binary, as an unprivileged user'
	@echo 'make test-vm  those of them that need systemd, AppArmor or SELinux, in a virtual machine'
	@echo 'make check    the quick tests, on the debug binary'
	@echo 'make lint     format, clippy, shell scripts, dependencies'
	@echo 'make release  the static binary: target/dist/sbx'
	@echo 'make bench    sbx beside bwrap, crun and podman, as ratios: target/bench.json'
	@echo 'make docs     completions/ and man/ from the command line definition'

run:
	@scripts/demo.sh

test:
	@scripts/test.sh all
	@scripts/test-vm.sh all

test-vm:
	@scripts/test-vm.sh all

check:
	@scripts/test.sh quick

lint:
	@scripts/lint.sh

release:
	@scripts/release.sh

bench:
	@benches/run.sh

docs:
	@SBX_DOCS=write cargo test --locked --quiet --test docs

clean:
	cargo clean
