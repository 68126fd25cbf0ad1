"""Ring 2: servers: profiles, processes, ports, readiness."""
