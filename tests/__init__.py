from .http import test_tours
from .orm import (
    test_build_cost,
    test_connector,
    test_context_lines,
    test_documented_samples,
    test_field_paths,
    test_handlers,
    test_headers_and_url,
    test_request_arrives,
    test_request_build,
)
