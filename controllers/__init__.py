from . import runner_check
