# What each command does: make help. The logic is in tools/.
.DEFAULT_GOAL := help
CLI := python3 tools/cli.py

.PHONY: help demo serve shell test unit one lint bench soak lane psql pot readme screenshots lock clean-env

help demo serve shell test unit lint bench psql pot readme screenshots lock clean-env:
	@$(CLI) $@

one:
	@$(CLI) one --keyword "$(K)" --seed "$(SEED)"

soak:
	@$(CLI) soak --seed "$(SEED)"

lane:
	@$(CLI) lane --code "$(CODE)"
