"""What is refused, and why: the plan model, the rules, and the packs that hand the rules to the engine."""
