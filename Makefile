# make run    builds everything and starts the course
# make test   fast tests, no Docker
# make e2e    the journey of a learner, on the real Docker Engine
# make prove  every lab of every course, on the real Docker Engine
# make prove COURSE=service-mesh  the course about Istio
# make e2e-mesh-envoy  the same with the images of Istio's release, pulled
# make diagnose  every broken state of the corpus: does the first line name the cause?
# make bench  kindlab check against its peers; verdicts of a whole class
# make bench-class  the hub, its board and 500 browsers; 100 attendees in one cluster; clusters side by side
GO      ?= go
COURSE  ?= docker-to-helm
ARCHS   ?= $(shell $(GO) env GOARCH)
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)

# kubectl says its version with these.
KUBECTL := $(shell $(GO) list -m -f '{{.Version}}' k8s.io/kubectl | sed 's/^v0/v1/')
LDFLAGS := -s -w \
	-X main.version=$(VERSION) \
	-X k8s.io/component-base/version.gitVersion=$(KUBECTL) \
	-X k8s.io/client-go/pkg/version.gitVersion=$(KUBECTL)

export CGO_ENABLED = 0

.PHONY: build apps run test fuzz e2e e2e-mesh-envoy diagnose bench bench-class prove clean
build: apps
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/kindlab ./cmd/kindlab

# The programs that kindlab carries for its images, and the definitions of the
# Gateway API, which their Go module has but does not embed. Only what changed is
# written anew, so that the same source gives the same images.
apps:
	@for arch in $(ARCHS); do for app in hello registry; do \
		GOOS=linux GOARCH=$$arch $(GO) build -trimpath -buildvcs=false -ldflags '-s -w' -o bin/$$app-linux-$$arch ./cmd/$$app || exit 1; \
		gzip -9 -n -c bin/$$app-linux-$$arch > provision/apps/$$app-linux-$$arch.gz || exit 1; \
	done; done
	@$(GO) mod download sigs.k8s.io/gateway-api
	@for f in $$($(GO) list -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)/config/crd/standard/gateway.networking.k8s.io_*.yaml; do \
		grep -q '^kind: CustomResourceDefinition' $$f && echo --- && cat $$f; done | gzip -9 -n > provision/apps/gateway-api.yaml.gz

run: build
	bin/kindlab up $(COURSE)

# go test, with a count at the end.
GOTEST = $(GO) run gotest.tools/gotestsum@v1.13.0 --format pkgname --

test: apps
	$(GO) vet -tags e2e ./...
	$(GOTEST) ./...

# An image with a shell, for pods that are broken in ways the sample app cannot be.
KINDLAB_TEST_TOOLS ?= busybox:1.37
# Istio's echo app, which speaks gRPC without a proxy. When it cannot be had, the test that needs it is skipped.
KINDLAB_TEST_ECHO ?= istio/app:1.31.1
E2E = $(CURDIR)/bin/e2e
E2E_KINDLAB = KINDLAB_STATE=$(E2E)/state KINDLAB_WORK=$(E2E)/work KINDLAB_CLUSTER=kindlab-e2e KINDLAB_ATTENDEE=e2e bin/kindlab

# with-cluster makes an environment with a mesh, runs $(1) with what the tests need of
# it, and takes the environment away.
define with-cluster
@trap '$(E2E_KINDLAB) down' EXIT; set -e; \
	$(E2E_KINDLAB) up $(COURSE) --no-site --mesh; \
	registry=$$($(E2E_KINDLAB) status -o json | sed -n 's/.*"registry": "\(.*\)".*/\1/p'); \
	give() { { docker image inspect "$$1" >/dev/null 2>&1 || docker pull "$$1"; } && docker tag "$$1" $$registry/$$2 && \
		docker push -q $$registry/$$2 && docker rmi $$registry/$$2 >/dev/null; }; \
	give "$(KINDLAB_TEST_TOOLS)" tools:1; \
	echo=; if give "$(KINDLAB_TEST_ECHO)" echo:1; then echo=$$registry/echo:1; fi; \
	mkdir -p $(E2E)/tools; for t in kubectl helm; do ln -sf $(CURDIR)/bin/kindlab $(E2E)/tools/$$t; done; export PATH=$(E2E)/tools:$$PATH; \
	gzip -dc provision/apps/gateway-api.yaml.gz | kubectl --kubeconfig $(E2E)/state/kube/kindlab-e2e.yaml apply --server-side -f - >/dev/null; \
	export KINDLAB_TEST_KUBECONFIG=$(E2E)/state/kube/kindlab-e2e.yaml KINDLAB_TEST_HELLO=$$registry/hello:v1 KINDLAB_TEST_TOOLS=$$registry/tools:1 KINDLAB_TEST_ECHO=$$echo; \
	$(1)
endef

# Of the corpus of broken states, some of each family.
e2e: build
	$(call with-cluster,KINDLAB_TEST_BROKEN=$${KINDLAB_TEST_BROKEN:-4} $(GOTEST) -tags e2e -count=1 -timeout 25m ./checker ./site ./provision ./cmd/kindlab)

# All of them, or those of FAMILY whose name fits the regular expression STATE.
FAMILY ?=
STATE ?=
AT_ONCE ?= 6
diagnose: build
	$(call with-cluster,KINDLAB_TEST_BROKEN=0 KINDLAB_TEST_FAMILY='$(FAMILY)' KINDLAB_TEST_STATE='$(STATE)' KINDLAB_TEST_AT_ONCE=$(AT_ONCE) \
		$(GO) test -tags e2e -count=1 -timeout 60m -run 'TestBroken$$' -v ./checker)

# peer builds a program of another module, with the Go that it was written for: both
# reach into package testing, which has changed since.
define peer
-mkdir -p bin/peers/$(1) && cd bin/peers/$(1) && printf 'module peer\ngo 1.24\nrequire $(2) $(3)\n' > go.mod && \
	GOTOOLCHAIN=go1.24.9 $(GO) build -mod=mod -o $(CURDIR)/bin/$(1) $(4)
endef

# A peer that cannot be built is left out.
bench: build
	$(call peer,chainsaw,github.com/kyverno/chainsaw,v0.2.12,github.com/kyverno/chainsaw)
	$(call peer,kuttl,github.com/kudobuilder/kuttl,v0.22.0,github.com/kudobuilder/kuttl/cmd/kubectl-kuttl)
	$(call with-cluster,export KINDLAB_STATE=$(E2E)/state KINDLAB_WORK=$(E2E)/work KINDLAB_CLUSTER=kindlab-e2e KINDLAB_BENCH_KINDLAB=$(CURDIR)/bin/kindlab; \
		for p in chainsaw kuttl; do f=$$(ls $(CURDIR)/bin/$$p 2>/dev/null); export KINDLAB_BENCH_$$(echo $$p | tr a-z A-Z)=$$f; done; \
		$(GO) test -tags 'e2e bench' -count=1 -timeout 60m -run '^$$' -bench . -benchtime 1x -v ./checker)

# BENCH=Hub, Namespaces or Clusters: only that.
bench-class: build
	$(GO) test -tags 'e2e bench' -count=1 -timeout 60m -run '^$$' -bench 'BenchmarkClass$(BENCH)' -benchtime 1x -v ./cmd/kindlab

# All labs, or LAB. PARALLEL=3: so many worlds at a time.
LAB ?=
PARALLEL ?=
prove: build
	bin/kindlab course prove --course $(COURSE) $(if $(PARALLEL),--parallel $(PARALLEL)) $(LAB)

# The courses about Istio on a machine that can pull Istio's own images, Envoy in them.
e2e-mesh-envoy: build
	for course in service-mesh mesh-metrics; do \
		env -u KINDLAB_ISTIO_HUB -u KINDLAB_ISTIO_TAG -u KINDLAB_PROMETHEUS_IMAGE bin/kindlab course prove --course $$course || exit 1; done

# Each parser for a while; more with make fuzz FUZZTIME=10m.
FUZZTIME ?= 20s
fuzz: apps
	@$(GO) list -f '{{$$p := .ImportPath}}{{range .TestGoFiles}}{{$$p}} {{$$.Dir}}/{{.}}{{"\n"}}{{end}}' ./... | while read -r pkg file; do \
		[ -n "$$file" ] || continue; \
		sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' "$$file" | while read -r f; do \
			echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) "$$pkg" || exit 1; done || exit 1; done

clean:
	rm -rf bin provision/apps/*.gz e2e-logs
