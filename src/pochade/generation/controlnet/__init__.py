"""ControlNets in a run: what a request says of them, their hints, and what they add at each step."""
