package labs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestLines(t *testing.T) {
	full := Finding{"HTTP 200", "no ready endpoint", "no pod has that label", "3 pods have app=hello", "`kubectl get pods`"}
	for _, c := range []struct {
		name string
		v    Verdict
		want []string
	}{
		{"passed", Verdict{State: Passed}, nil},
		{"failing", Verdict{State: Failing, Findings: []Finding{full}}, []string{
			"expected HTTP 200, got no ready endpoint", "because no pod has that label", "nearest: 3 pods have app=hello", "look at `kubectl get pods`"}},
		{"expected alone", Verdict{State: Failing, Findings: []Finding{{Expected: "a"}, {Got: "b"}, {Look: "c"}, {}}}, []string{
			"expected a", "got b", "look at c"}},
		{"blocked", Verdict{State: Blocked, Reason: "the pod runs"}, []string{"first: the pod runs"}},
		{"unknown", Verdict{State: Unknown, Reason: "Docker does not answer"}, []string{"Docker does not answer"}},
		{"a reason and findings", Verdict{State: Unknown, Reason: "a", Findings: []Finding{{Got: "b"}}}, []string{"a", "got b"}},
	} {
		assert.Equal(t, c.want, c.v.Lines(), c.name)
	}
}

func TestWorst(t *testing.T) {
	for _, c := range []struct {
		states []State
		want   State
	}{
		{nil, Passed},
		{[]State{Passed, Passed}, Passed},
		{[]State{Passed, Unknown, Failing}, Unknown},
		{[]State{Failing, Blocked}, Failing},
	} {
		var vs []Verdict
		for _, s := range c.states {
			vs = append(vs, Verdict{State: s})
		}
		assert.Equal(t, c.want, Worst(vs), "%v", c.states)
	}
}

func TestProgress(t *testing.T) {
	l := load(t, front+body+check("aa", "x: 1\n")+check("bb", "x: 1\n")+"## Read\n\n## Then\n\n"+check("cc", "x: 1\n"))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(m int) time.Time { return now.Add(time.Duration(m) * time.Minute) }
	for _, c := range []struct {
		name   string
		p      Progress
		when   time.Time
		ok     bool
		solved int
	}{
		{"nothing", nil, time.Time{}, false, 0},
		{"half a task", Progress{"first/aa": at(1)}, time.Time{}, false, 0},
		{"the other half", Progress{"first/bb": at(1)}, time.Time{}, false, 0},
		{"a task, as late as its last check", Progress{"first/aa": at(2), "first/bb": at(1)}, at(2), true, 1},
		{"another lab's", Progress{"other/a": at(2), "other/b": at(1)}, time.Time{}, false, 0},
		{"all", Progress{Key("first", "aa"): at(1), Key("first", "bb"): at(2), Key("first", "cc"): at(3)}, at(2), true, 2},
	} {
		when, ok := c.p.Task("first", l.Task("run-it"))
		assert.Equal(t, c.when, when, c.name)
		assert.Equal(t, c.ok, ok, c.name)
		solved, total := c.p.Lab(l)
		assert.Equal(t, []int{c.solved, 2}, []int{solved, total}, c.name)
	}
	_, ok := Progress{}.Task("first", l.Task("read"))
	assert.False(t, ok, "a task without checks is never solved")
}

func TestFindCheck(t *testing.T) {
	l := load(t, front+body+check("ab", "x: 1\n")+"## Then\n\n"+check("cd", "x: 1\n"))
	task, c := l.Check("cd")
	assert.Equal(t, "then", task.ID)
	assert.Equal(t, "cd", c.ID)
	task, c = l.Check("ef")
	assert.Nil(t, task)
	assert.Nil(t, c)
	assert.Len(t, l.Checks(), 2)
}

func TestExplanationAddsToTheFinding(t *testing.T) {
	v := Verdict{State: Failing, Findings: []Finding{{Because: "it is scaled to 0"}}, Chain: []string{"it is scaled to 0"}, Facts: []string{"read pods"}}
	assert.Empty(t, v.Explanation(), "the finding says it already")
	v.Chain = []string{"no pods", "it is scaled to 0"}
	v.RuledOut = []string{"quota"}
	assert.Equal(t, []Section{{"from the symptom to the cause", v.Chain}, {"ruled out", v.RuledOut}}, v.Explanation())
}

func TestOpen(t *testing.T) {
	lab := func(id string) *Lab { return &Lab{ID: id, Tasks: []*Task{{ID: "do", Checks: []*Check{{ID: "done"}}}}} }
	c := &Course{Labs: []*Lab{{ID: "read", Tasks: []*Task{{ID: "it"}}}, lab("first"), lab("second")}}
	assert.Equal(t, "first", Progress{}.Open(c).ID, "what has nothing to solve is not open")
	assert.Equal(t, "second", Progress{Key("first", "done"): time.Now()}.Open(c).ID)
	assert.Nil(t, Progress{Key("first", "done"): time.Now(), Key("second", "done"): time.Now()}.Open(c))
}
