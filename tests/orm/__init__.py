from . import (
    test_request_build,
)
