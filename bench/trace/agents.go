package trace

import "fmt"

// Agents follows a replay of a trace: which edits each agent has, itself made or
// taken in from others. Edits are asked for in their order.
type Agents struct {
	t    *Trace
	has  [][]bool // agent, edit
	last []int    // each agent's own last edit, -1 if it has made none
}

// NewAgents returns the state before the first edit: nobody has any.
func NewAgents(t *Trace) *Agents {
	a := &Agents{t: t, has: make([][]bool, t.Agents), last: make([]int, t.Agents)}
	for i := range a.has {
		a.has[i], a.last[i] = make([]bool, len(t.Edits)), -1
	}
	return a
}

// Advance returns the edits, parents first, that the agent of edit i has to take in
// before it makes it, so that it then has exactly the edit's parents and their
// ancestors. It is an error if it has others already.
func (a *Agents) Advance(i int) ([]int, error) {
	e := a.t.Edits[i]
	has := a.has[e.Agent]
	if own := a.last[e.Agent]; own >= 0 && !a.reaches(e.Parents, own) {
		return nil, fmt.Errorf("edit %d of agent %d does not follow the agent's edit %d", i, e.Agent, own)
	}
	var missing []int
	var visit func(int)
	visit = func(j int) {
		// Depth is bounded by what others did since this agent last listened.
		if has[j] {
			return
		}
		has[j] = true
		for _, p := range a.t.Edits[j].Parents {
			visit(p)
		}
		missing = append(missing, j)
	}
	for _, p := range e.Parents {
		visit(p)
	}
	has[i] = true
	a.last[e.Agent] = i
	return missing, nil
}

// reaches says whether edit j is among the given ones or their ancestors.
func (a *Agents) reaches(from []int, j int) bool {
	seen := map[int]bool{}
	for todo := append([]int(nil), from...); len(todo) > 0; {
		k := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if k == j {
			return true
		}
		if k > j && !seen[k] {
			seen[k] = true
			todo = append(todo, a.t.Edits[k].Parents...)
		}
	}
	return false
}
