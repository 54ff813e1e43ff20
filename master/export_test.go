package master

import "context"

// RebalanceStep advances the rebalance by one step, for tests that stop it at
// any moment.
func (e *Engine) RebalanceStep(ctx context.Context) (State, error) { return e.rebalance.Step(ctx) }
