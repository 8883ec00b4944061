from . import orm
