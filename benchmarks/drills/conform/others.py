"""stub"""
from pathlib import Path
CLIENTS=Path("/tmp/conf_venv"); ABOUT=""
def run(venue, clients): return {}
