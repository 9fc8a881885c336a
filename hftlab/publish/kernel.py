"""`python -m hftlab.publish.kernel -f FILE`: a viewer's kernel. It shuts itself in before it loads anything of a page."""

import os

from hftlab.publish.confine import Cage, shut_in

CAGE = "HFTLAB_CAGE"


def main() -> None:
    """Shut this process in and run the kernel."""
    shut_in(Cage.of(os.environ[CAGE]), server=False)
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()


if __name__ == "__main__":
    main()
