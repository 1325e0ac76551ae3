//go:build e2e

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/kindlab/kindlab/labs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestJourney is a learner's first evening: up, the page in a browser, the page's
// own commands in the lab's shell, ticks that appear by themselves, begin again, down.
func TestJourney(t *testing.T) {
	j := newJourney(t)
	j.up()
	page := j.browser()

	j.open(page, "image")
	j.see(page, `document.querySelector('[data-check=built]').dataset.state === 'failing'`)
	j.shot(page, "image-start")
	j.doTasks(page, "image", "build-an-image", "run-it-and-reach-it", "set-it-up-from-outside")
	j.kindlab("solve", "image/bring-out-the-next-version")
	j.ticked(page, "bring-out-the-next-version")
	j.see(page, `!document.querySelector('#solved').hidden`)
	j.shot(page, "image-solved")

	j.open(page, "scale")
	j.doTasks(page, "scale", "describe-the-application", "lose-a-pod", "run-more-copies")
	j.shot(page, "scale")

	var verdicts []labs.Verdict
	out, code := j.run("check", "scale/run-more-copies", "-o", "json")
	require.Zero(t, code)
	require.NoError(t, json.Unmarshal([]byte(out), &verdicts))
	for _, v := range verdicts {
		assert.Equal(t, labs.Passed, v.State, v.Check)
	}
	_, code = j.run("check", "scale")
	assert.Equal(t, exitNotSolved, code, "the greeter is not there yet")

	t.Log("break it, and read why")
	j.shell("scale", "kubectl set image deployment/web hello=$(kubectl get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}' | sed 's/:v1$/:v11/')")
	j.see(page, `/hello:v11/.test(document.querySelector('[data-check=created] .finding')?.textContent ?? '')`)
	j.shot(page, "scale-broken")
	j.shell("scale", "kubectl rollout undo deployment/web")
	j.ticked(page, "describe-the-application")

	t.Log("begin again, from the page")
	require.NoError(t, os.WriteFile(filepath.Join(j.work, "docker-to-helm", "scale", "notes.txt"), []byte("mine"), 0o644))
	require.NoError(t, chromedp.Do(page, chromedp.Click(chromedp.CSS(`#reset`)), chromedp.Click(chromedp.CSS(`#reset-dialog button.danger`))))
	j.see(page, `document.querySelector('[data-check=created]').dataset.state === 'failing' && document.querySelector('.tasks .count').textContent.startsWith('0 of')`)
	kept, err := filepath.Glob(filepath.Join(j.work, "docker-to-helm", ".before-reset", "scale-*", "notes.txt"))
	require.NoError(t, err)
	assert.Len(t, kept, 1, "the learner's own file is kept aside")

	t.Log("progress outlives the pages")
	j.closePages()
	out, _ = j.run("status")
	assert.Regexp(t, `image +4/4`, out)
	j.kindlab("down")
	left, err := exec.CommandContext(t.Context(), "docker", "ps", "-aq", "--filter", "label=io.x-k8s.kind.cluster="+j.cluster).Output()
	require.NoError(t, err)
	assert.Empty(t, string(left), "down leaves no node")
}

const chromium = "/usr/bin/chromium"

// A journey is a learner at work, with a cluster and folders of their own.
type journey struct {
	t                    *testing.T
	binary               string
	cluster, state, work string
	url                  string
	pages                *exec.Cmd
	printed              chan struct{} // closed when the pages' process has said its last
}

func newJourney(t *testing.T) *journey {
	binary, err := filepath.Abs("../../bin/kindlab")
	require.NoError(t, err)
	require.FileExists(t, binary, "run make build first")
	require.FileExists(t, chromium, "install Debian's chromium")
	dir := t.TempDir()
	j := &journey{t: t, binary: binary, cluster: "kindlab-journey", state: filepath.Join(dir, "state"), work: filepath.Join(dir, "work")}
	t.Cleanup(func() {
		if t.Failed() {
			logs, _ := filepath.Abs("../../e2e-logs/journey")
			out, _ := exec.Command("kind", "export", "logs", "--name", j.cluster, logs).CombinedOutput()
			t.Logf("cluster logs: %s\n%s", logs, out)
		}
		j.closePages()
		out, code := j.run("down")
		assert.Zero(t, code, out)
	})
	return j
}

// command is kindlab as the learner has it.
func (j *journey) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, j.binary, args...)
	c.Dir = filepath.Dir(j.state)
	c.Env = append(os.Environ(), "KINDLAB_CLUSTER="+j.cluster, "KINDLAB_ATTENDEE=journey", "KINDLAB_STATE="+j.state, "KINDLAB_WORK="+j.work, "SHELL=/bin/sh", "NO_COLOR=1")
	return c
}

// run is kindlab to its end: what it printed and its exit code.
func (j *journey) run(args ...string) (string, int) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	out, err := j.command(ctx, args...).CombinedOutput()
	code := 0
	if err != nil {
		code = -1
		if exit, ok := err.(*exec.ExitError); ok {
			code = exit.ExitCode()
		}
	}
	j.t.Logf("$ kindlab %s\n%s(exit code %d)", strings.Join(args, " "), out, code)
	return string(out), code
}

// kindlab is run that must succeed.
func (j *journey) kindlab(args ...string) {
	j.t.Helper()
	out, code := j.run(args...)
	require.Zero(j.t, code, out)
}

// up starts the pages and waits for their address.
func (j *journey) up() {
	c := j.command(context.Background(), "up", "docker-to-helm")
	r, w := io.Pipe()
	c.Stdout, c.Stderr = w, w
	require.NoError(j.t, c.Start())
	j.pages, j.printed = c, make(chan struct{})
	go func() { _ = w.CloseWithError(c.Wait()) }()
	address := make(chan string, 1)
	go func() {
		defer close(j.printed)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			j.t.Log(lines.Text())
			if m := regexp.MustCompile(`Open (http\S+)`).FindStringSubmatch(lines.Text()); m != nil {
				address <- m[1]
			}
		}
	}()
	select {
	case j.url = <-address:
	case <-j.printed:
		j.t.Fatal("kindlab up has ended")
	case <-time.After(5 * time.Minute):
		j.t.Fatal("kindlab up says no address")
	}
}

// closePages is Ctrl-C.
func (j *journey) closePages() {
	if j.pages == nil {
		return
	}
	_ = j.pages.Process.Signal(syscall.SIGINT)
	select {
	case <-j.printed:
	case <-time.After(20 * time.Second):
		_ = j.pages.Process.Kill()
		j.t.Error("Ctrl-C does not end the pages")
	}
	j.pages = nil
}

// browser is a tab half as wide as a laptop, which may use the clipboard.
func (j *journey) browser() context.Context {
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(j.t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	j.t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	j.t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	j.t.Cleanup(cancel)
	require.NoError(j.t, chromedp.Do(ctx, chromedp.EmulateViewport(720, 900)))
	_, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	require.NoError(j.t, err, "only a page with the focus may read the clipboard")
	_, err = chromedp.CallBrowser(ctx, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: "clipboard-read"}, Setting: browser.PermissionSettingGranted})
	require.NoError(j.t, err)
	return ctx
}

func (j *journey) open(page context.Context, lab string) {
	require.NoError(j.t, chromedp.Do(page, chromedp.Navigate(j.url+lab+"/")))
}

// see waits until a JavaScript expression is true.
func (j *journey) see(page context.Context, js string) {
	j.t.Helper()
	var last error
	if !assert.Eventually(j.t, func() bool {
		is, err := chromedp.Run(page, chromedp.Evaluate[bool](js, chromedp.EvalAwaitPromise))
		last = err
		return err == nil && is
	}, 90*time.Second, 100*time.Millisecond, js) {
		said, _ := chromedp.Run(page, chromedp.Evaluate[string](`[...document.querySelectorAll('.check')].map((c) => c.dataset.state + ' ' + c.innerText).join('\n')`))
		j.t.Fatalf("not seen: %s (%v); the page says:\n%s", js, last, said)
	}
}

// ticked waits until the page shows a task as solved.
func (j *journey) ticked(page context.Context, task string) {
	j.t.Helper()
	j.see(page, fmt.Sprintf(`document.querySelector('.verdict[data-task="%s"]').dataset.state === 'passed'`, task))
}

// copied is what a task's Copy buttons give, in page order.
func (j *journey) copied(page context.Context, task string) []string {
	texts, err := chromedp.Run(page, chromedp.Evaluate[[]string](fmt.Sprintf(`(async () => {
		const out = [];
		for (const b of document.querySelectorAll('section.task[aria-labelledby="%s"] .command .copy, section.task[aria-labelledby="%[1]s"] .file .copy:last-child')) {
			b.click();
			for (let i = 0; i < 50 && b.textContent !== 'Copied'; i++) await new Promise((r) => setTimeout(r, 20));
			out.push(await navigator.clipboard.readText());
		}
		return out;
	})()`, task), chromedp.EvalAwaitPromise))
	require.NoError(j.t, err)
	require.NotEmpty(j.t, texts, "task %s has nothing to copy", task)
	return texts
}

// doTasks does tasks as the page says and waits for each tick.
func (j *journey) doTasks(page context.Context, lab string, tasks ...string) {
	for _, task := range tasks {
		j.t.Logf("task %s/%s", lab, task)
		for _, text := range j.copied(page, task) {
			j.shell(lab, text)
		}
		j.answered(page, task)
		j.ticked(page, task)
	}
}

// answered answers the questions of a task in the page, as a learner who knows.
func (j *journey) answered(page context.Context, task string) {
	answers := `{"inside-port": "3000"}`
	require.NoError(j.t, chromedp.Do(page, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`{
		const answers = %s;
		for (const form of document.querySelectorAll('.verdict[data-task=%q] form.answer')) {
			form.querySelector('input').value = answers[form.closest('[data-check]').dataset.check];
			form.requestSubmit();
		}
	}`, answers, task))))
}

// shell types a command into `kindlab shell LAB`.
func (j *journey) shell(lab, text string) {
	j.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	c := j.command(ctx, "shell", lab)
	c.Stdin = strings.NewReader("set -eu\n" + text + "\n")
	out, err := c.CombinedOutput()
	require.NoError(j.t, err, "in kindlab shell %s:\n$ %s\n%s", lab, text, out)
	j.t.Logf("$ %s\n%s", text, out)
}

// shot keeps pictures of the page, if KINDLAB_SHOTS names a folder for them.
func (j *journey) shot(page context.Context, name string) {
	dir := os.Getenv("KINDLAB_SHOTS")
	if dir == "" {
		return
	}
	require.NoError(j.t, os.MkdirAll(dir, 0o755))
	for _, scheme := range []string{"light", "dark"} {
		_, err := chromedp.Call(page, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		require.NoError(j.t, err)
		for _, width := range []int64{1366, 720} {
			require.NoError(j.t, chromedp.Do(page, chromedp.EmulateViewport(width, 900), chromedp.Sleep(200*time.Millisecond)))
			png, err := chromedp.Run(page, chromedp.FullScreenshot(100))
			require.NoError(j.t, err)
			require.NoError(j.t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), png, 0o644))
		}
	}
}
