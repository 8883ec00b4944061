# What each command does: make help. The logic is in tools/.
.DEFAULT_GOAL := help
CLI := python3 tools/cli.py

.PHONY: help demo serve shell test unit one lint bench soak lane psql pot readme screenshots lock clean-env

help demo serve shell test unit lint psql pot readme screenshots lock clean-env:
	@$(CLI) $@

one:
	@$(CLI) one --keyword "$(K)" --seed "$(SEED)"

bench:
	@$(CLI) bench $(ARGS)

soak:
	@$(CLI) soak --seed "$(SEED)" $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

lane:
	@$(CLI) lane --code "$(CODE)"
