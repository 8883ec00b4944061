from . import recover
from . import secret
from . import send_test_look
from . import send_test_about
from . import send_test
from . import send_test_line
