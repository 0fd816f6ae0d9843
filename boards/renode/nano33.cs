// What tinyproof's Nano 33 BLE firmware needs and Renode has not: the crystal's start, TWIM with
// EasyDMA, and an LSM9DS1 whose FIFO fills by itself. Renode compiles this file when nano33.resc
// includes it. Sections of the chip: nRF52840 Product Specification v1.7; of the sensor: LSM9DS1
// datasheet (DocID025715).
using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using Antmicro.Renode.Core;
using Antmicro.Renode.Core.Structure;
using Antmicro.Renode.Exceptions;
using Antmicro.Renode.Logging;
using Antmicro.Renode.Peripherals.Bus;

namespace Antmicro.Renode.Peripherals.Miscellaneous
{
    // CLOCK (5.4): the crystal runs as soon as it is started.
    public class TinyproofNrfClock : IDoubleWordPeripheral, IKnownSize
    {
        public void Reset()
        {
            Array.Clear(words, 0, words.Length);
        }

        public uint ReadDoubleWord(long offset)
        {
            return words[offset / 4];
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            words[offset / 4] = value;
            if(offset == HfclkStart && value == 1)
            {
                words[HfclkStarted / 4] = 1;
            }
        }

        public long Size => Bytes;

        private readonly uint[] words = new uint[Bytes / 4];

        private const int Bytes = 0x1000;
        private const long HfclkStart = 0x000, HfclkStarted = 0x100;
    }
}

namespace Antmicro.Renode.Peripherals.I2C
{
    // TWIM0 (6.31): a transfer is done when its task is written. FREQUENCY and PSEL are kept.
    public class TinyproofNrfTwim : SimpleContainer<II2CPeripheral>, IDoubleWordPeripheral, IKnownSize
    {
        public TinyproofNrfTwim(IMachine machine) : base(machine)
        {
            bus = machine.GetSystemBus(this);
            IRQ = new GPIO();
        }

        public override void Reset()
        {
            Array.Clear(words, 0, words.Length);
            IRQ.Unset();
        }

        public uint ReadDoubleWord(long offset)
        {
            return offset == IntenSet || offset == IntenClear ? words[Inten / 4] : words[offset / 4];
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            switch(offset)
            {
            case StartRx:
                if(value == 1)
                {
                    Receive();
                }
                break;
            case StartTx:
                if(value == 1)
                {
                    Transmit();
                }
                break;
            case Stop:
                if(value == 1)
                {
                    End();
                }
                break;
            case IntenSet:
                words[Inten / 4] |= value;
                break;
            case IntenClear:
                words[Inten / 4] &= ~value;
                break;
            case ErrorSource:
                words[ErrorSource / 4] &= ~value;
                break;
            default:
                words[offset / 4] = value;
                break;
            }
            Update();
        }

        public long Size => Bytes;

        public GPIO IRQ { get; }

        private void Transmit()
        {
            if(!Answers(out var slave))
            {
                return;
            }
            var count = (int)words[TxCount / 4];
            slave.Write(bus.ReadBytes(words[TxPointer / 4], count));
            words[TxAmount / 4] = (uint)count;
            words[TxStarted / 4] = 1;
            words[LastTx / 4] = 1;
            var shorts = words[Shorts / 4];
            if((shorts & LastTxStartRx) != 0)
            {
                Receive();
            }
            else if((shorts & LastTxStop) != 0)
            {
                End();
            }
        }

        private void Receive()
        {
            if(!Answers(out var slave))
            {
                return;
            }
            var count = (int)words[RxCount / 4];
            bus.WriteBytes(slave.Read(count), words[RxPointer / 4]);
            words[RxAmount / 4] = (uint)count;
            words[RxStarted / 4] = 1;
            words[LastRx / 4] = 1;
            if((words[Shorts / 4] & LastRxStop) != 0)
            {
                End();
            }
        }

        private void End()
        {
            if(TryGetByAddress((int)words[Address / 4], out var slave))
            {
                slave.FinishTransmission();
            }
            words[Stopped / 4] = 1;
        }

        private bool Answers(out II2CPeripheral slave)
        {
            slave = null;
            if(words[Enable / 4] != EnabledTwim)
            {
                this.Log(LogLevel.Warning, "A transfer while ENABLE is {0}, not 6", words[Enable / 4]);
                return false;
            }
            if(TryGetByAddress((int)words[Address / 4], out slave))
            {
                return true;
            }
            words[ErrorSource / 4] |= AddressNack;
            words[Error / 4] = 1;
            return false;
        }

        private void Update()
        {
            var pending = false;
            foreach(var bit in events)
            {
                pending |= (words[Inten / 4] >> bit & 1) != 0 && words[(0x100 + 4 * bit) / 4] != 0;
            }
            IRQ.Set(pending);
        }

        private readonly IBusController bus;
        private readonly uint[] words = new uint[Bytes / 4];

        // 6.31.7 Registers. Event n has its interrupt at bit n of INTEN and its register at 0x100 + 4n.
        private static readonly int[] events = { 1, 9, 18, 19, 20, 23, 24 };
        private const int Bytes = 0x1000;
        private const long StartRx = 0x000, StartTx = 0x008, Stop = 0x014;
        private const long Stopped = 0x104, Error = 0x124, RxStarted = 0x14C, TxStarted = 0x150;
        private const long LastRx = 0x15C, LastTx = 0x160, Shorts = 0x200;
        private const long Inten = 0x300, IntenSet = 0x304, IntenClear = 0x308;
        private const long ErrorSource = 0x4C4, Enable = 0x500, Address = 0x588;
        private const long RxPointer = 0x534, RxCount = 0x538, RxAmount = 0x53C;
        private const long TxPointer = 0x544, TxCount = 0x548, TxAmount = 0x54C;
        private const uint LastTxStartRx = 1u << 7, LastTxStop = 1u << 9, LastRxStop = 1u << 12;
        private const uint AddressNack = 1u << 1, EnabledTwim = 6;
    }
}

namespace Antmicro.Renode.Peripherals.Sensors
{
    // Accelerometer and gyroscope of the LSM9DS1 in the chip's steps: 0.732 mg at 16 g and 70 mdps at
    // 2000 dps (2.1 Sensor characteristics). They measure at 59.5 Hz of virtual time; other rates are
    // not modelled. Until something is fed, the board lies still: 1 g on z.
    public class TinyproofLsm9ds1 : I2C.II2CPeripheral
    {
        public TinyproofLsm9ds1(IMachine machine)
        {
            this.machine = machine;
            Reset();
        }

        public void Reset()
        {
            Array.Clear(registers, 0, registers.Length);
            registers[WhoAmI] = 0x68;
            registers[Control8] = IncrementAddress;
            fifo.Clear();
            overrun = false;
            address = 0;
            taken = 0;
            given = 0;
        }

        // For the monitor. A line a sample, in steps: ax,ay,az,wx,wy,wz; after the last the first again.
        public void FeedSteps(string path)
        {
            var samples = new List<short[]>();
            foreach(var line in File.ReadLines(path))
            {
                var fields = line.Split(',');
                if(fields.Length != 6)
                {
                    throw new RecoverableException($"{path}: a line has {fields.Length} fields, not 6");
                }
                var sample = new short[6];
                for(var i = 0; i < 6; i++)
                {
                    if(!short.TryParse(fields[i], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out sample[i]))
                    {
                        throw new RecoverableException($"{path}: '{fields[i]}' is not a number of 16 bits");
                    }
                }
                samples.Add(sample);
            }
            if(samples.Count == 0)
            {
                throw new RecoverableException($"{path}: no samples");
            }
            source = samples;
            given = 0;
        }

        public void Write(byte[] data)
        {
            for(var i = 0; i < data.Length; i++)
            {
                if(i == 0)
                {
                    address = data[0] & 0x7F;
                    continue;
                }
                WriteRegister(address, data[i]);
                Advance();
            }
        }

        public byte[] Read(int count = 1)
        {
            var result = new byte[count];
            for(var i = 0; i < count; i++)
            {
                result[i] = ReadRegister(address);
                Advance();
            }
            return result;
        }

        public void FinishTransmission()
        {
        }

        private void Advance()
        {
            if((registers[Control8] & IncrementAddress) != 0)
            {
                address = (address + 1) & 0x7F;
            }
        }

        private void WriteRegister(int number, byte value)
        {
            Fill();
            registers[number] = value;
            if(number == Control8 && (value & SoftReset) != 0)
            {
                Reset();
            }
            if(number == FifoControl && value >> 5 == Bypass)
            {
                fifo.Clear();
                overrun = false;
            }
            if(number == Control1 || number == Control6)
            {
                started = Now;
                taken = 0;
            }
        }

        private byte ReadRegister(int number)
        {
            Fill();
            if(number == FifoSource)
            {
                return (byte)(fifo.Count | (overrun ? Overrun : 0));
            }
            int index;
            if(number >= OutGyro && number < OutGyro + 6)
            {
                index = 3 + (number - OutGyro) / 2;
            }
            else if(number >= OutAcceleration && number < OutAcceleration + 6)
            {
                index = (number - OutAcceleration) / 2;
            }
            else
            {
                return registers[number];
            }
            var word = (ushort)(fifo.Count > 0 ? fifo.Peek() : last)[index];
            if(number == OutAcceleration + 5 && fifo.Count > 0)
            {
                last = fifo.Dequeue(); // the last byte of a sample has been read
                overrun = false;
            }
            return (byte)((number & 1) == 0 ? word : word >> 8);
        }

        // What has been measured since the last time.
        private void Fill()
        {
            if(registers[Control1] >> 5 != Rate59 || registers[Control6] >> 5 != Rate59)
            {
                return;
            }
            var due = (long)((Now - started) * 59.5);
            for(; taken < due; taken++)
            {
                var sample = source[(int)(given++ % source.Count)];
                if((registers[Control9] & FifoEnable) == 0 || registers[FifoControl] >> 5 != Continuous)
                {
                    last = sample;
                    continue;
                }
                if(fifo.Count == Depth)
                {
                    fifo.Dequeue();
                    overrun = true;
                }
                fifo.Enqueue(sample);
            }
        }

        private double Now => machine.ElapsedVirtualTime.TimeElapsed.TotalSeconds;

        private int address;
        private bool overrun;
        private double started;
        private long taken;
        private long given;
        private short[] last = new short[6];
        private List<short[]> source = new List<short[]> { new short[] { 0, 0, 1366, 0, 0, 0 } };

        private readonly IMachine machine;
        private readonly byte[] registers = new byte[128];
        private readonly Queue<short[]> fifo = new Queue<short[]>();

        // 6 Register mapping, 7 Accelerometer and gyroscope register description.
        private const int WhoAmI = 0x0F, Control1 = 0x10, OutGyro = 0x18, Control6 = 0x20;
        private const int Control8 = 0x22, Control9 = 0x23, OutAcceleration = 0x28;
        private const int FifoControl = 0x2E, FifoSource = 0x2F;
        private const int Rate59 = 2;                 // ODR_G of CTRL_REG1_G, ODR_XL of CTRL_REG6_XL
        private const byte SoftReset = 1, IncrementAddress = 4; // SW_RESET, IF_ADD_INC of CTRL_REG8
        private const byte FifoEnable = 2;            // FIFO_EN of CTRL_REG9
        private const int Bypass = 0, Continuous = 6; // FMODE of FIFO_CTRL
        private const int Overrun = 0x40;             // OVRN of FIFO_SRC
        private const int Depth = 32;
    }
}
