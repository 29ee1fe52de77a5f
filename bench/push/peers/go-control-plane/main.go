// Serves the mesh of the push benchmark from go-control-plane's linear caches, one for each resource
// type, on one aggregated delta service. It answers the same commands as the benchmark's other servers:
// a JSON line in, a JSON line out.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"log"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cache "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	server "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

type opaqueResource struct {
	TypeURL string `json:"typeUrl"`
	Name    string `json:"name"`
	Value   string `json:"value"`
}

type command struct {
	Command  string `json:"command"`
	Argument struct {
		Resources []opaqueResource `json:"resources"`
		Resource  opaqueResource   `json:"resource"`
	} `json:"argument"`
}

func main() {
	var caches map[string]cache.Cache
	answers := json.NewEncoder(os.Stdout)
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return // the benchmark has ended
		}
		var asked command
		must(json.Unmarshal(line, &asked))
		var answer any
		switch asked.Command {
		case "start":
			caches = linearCaches(asked.Argument.Resources)
			answer = map[string]int{"port": serve(caches)}
		case "change":
			changed := asked.Argument.Resource
			resource := message(changed)
			at := monotonicNanoseconds()
			must(caches[changed.TypeURL].(*cache.LinearCache).UpdateResource(changed.Name, resource))
			answer = map[string]string{"at": strconv.FormatInt(at, 10)}
		case "collectGarbage":
			runtime.GC()
			debug.FreeOSMemory()
		case "usage":
			answer = usage()
		default:
			log.Fatalf("unknown command %q", asked.Command)
		}
		must(answers.Encode(answer))
	}
}

func linearCaches(resources []opaqueResource) map[string]cache.Cache {
	byType := map[string]map[string]types.Resource{}
	for _, resource := range resources {
		if byType[resource.TypeURL] == nil {
			byType[resource.TypeURL] = map[string]types.Resource{}
		}
		byType[resource.TypeURL][resource.Name] = message(resource)
	}
	caches := map[string]cache.Cache{}
	for typeURL, initial := range byType {
		caches[typeURL] = cache.NewLinearCache(typeURL, cache.WithInitialResources(initial))
	}
	return caches
}

// message gives bytes that are serialised already the form of a message that serialises to them.
func message(resource opaqueResource) types.Resource {
	bytes, err := base64.StdEncoding.DecodeString(resource.Value)
	must(err)
	message := &emptypb.Empty{}
	message.ProtoReflect().SetUnknown(bytes)
	return message
}

func serve(caches map[string]cache.Cache) int {
	mux := &cache.MuxCache{
		Classify:      func(request *cache.Request) string { return request.GetTypeUrl() },
		ClassifyDelta: func(request *cache.DeltaRequest) string { return request.GetTypeUrl() },
		Caches:        caches,
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	grpcServer := grpc.NewServer()
	discovery.RegisterAggregatedDiscoveryServiceServer(grpcServer, server.NewServer(context.Background(), mux, nil))
	go func() { must(grpcServer.Serve(listener)) }()
	return listener.Addr().(*net.TCPAddr).Port
}

func usage() map[string]int64 {
	var self unix.Rusage
	must(unix.Getrusage(unix.RUSAGE_SELF, &self))
	status, err := os.ReadFile("/proc/self/status")
	must(err)
	return map[string]int64{
		"cpuMicros":    self.Utime.Nano()/1000 + self.Stime.Nano()/1000,
		"rssBytes":     kilobytes(string(status), "VmRSS:") * 1024,
		"peakRssBytes": kilobytes(string(status), "VmHWM:") * 1024,
	}
}

func kilobytes(status, field string) int64 {
	_, rest, _ := strings.Cut(status, field)
	value, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	must(err)
	return value
}

// monotonicNanoseconds reads the clock that process.hrtime reads.
func monotonicNanoseconds() int64 {
	var now unix.Timespec
	must(unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
	return now.Nano()
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
