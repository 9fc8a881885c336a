"""`python -m hftlab.publish.kernel -f FILE`: a viewer's kernel. It shuts itself in before it loads anything of a page."""

import os
import warnings

from hftlab.publish.confine import Cage, shut_in

CAGE = "HFTLAB_CAGE"


def main() -> None:
    """Shut this process in and run the kernel."""
    shut_in(Cage.of(os.environ[CAGE]), server=False)
    # It has no TCP, so what a child process prints is lost; a page starts none, and may not.
    warnings.filterwarnings("ignore", message="Couldn't bind IOPub Pipe", category=UserWarning)
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()


if __name__ == "__main__":
    main()
