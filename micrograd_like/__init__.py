from .engine import Value
from .ops import *
